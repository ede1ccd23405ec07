"""A real registry with Confluent's API: Apicurio's, which another maker wrote."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from confluent_kafka.schema_registry import Schema, SchemaReference

from consumer.clock import SystemClock
from consumer.events.decode import Decoder
from consumer.factories import make_format
from consumer.records.record import UndecodableError
from consumer.registry.client import RegistryClient
from consumer.registry.schemas import RegistrySchemas
from consumer.settings import SchemaRegistrySettings
from support.fakes import FakeRecord
from support.real_registry import real_registry
from support.registered import Confluent

USER = {"type": "record", "name": "User", "namespace": "com.x", "fields": [
    {"name": "id", "type": "string"}]}  # fmt: skip
EVENT = {"type": "record", "name": "Event", "namespace": "com.x", "fields": [
    {"name": "id", "type": "string"}, {"name": "user", "type": "User"}]}  # fmt: skip
pytestmark = pytest.mark.broker  # not of a broker, but of Java and Maven as one from jars
PROTO = 'syntax = "proto3"; message M { string id = 1; }'


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The registry's URL."""
    with real_registry(Path(tmp_path_factory.mktemp("registry"))) as url:
        yield url


async def _decode(url: str, record: FakeRecord) -> Any:
    registry = RegistrySchemas(SchemaRegistrySettings(url=url), SystemClock(), lambda: 0.5)
    try:
        decoder = Decoder("event", None, make_format("auto", registry.schemas))
        return (await registry.decode(decoder, record)).document
    finally:
        await registry.aclose()


async def test_records_with_schemas_of_a_real_registry(url: str) -> None:
    """Records whose schema, with a reference, Confluent's client registered in a real registry are
    decoded; an id that it does not know is undecodable.
    """
    confluent = Confluent(url)
    plain = confluent.avro(USER, {"id": "e1"})
    assert await _decode(url, plain) == {"id": "e1", "occurred_at": plain.timestamp}
    confluent.client.register_schema("user", Schema(orjson.dumps(USER).decode(), "AVRO"))
    references = [SchemaReference("com.x.User", "user", 1)]
    text = orjson.dumps(EVENT).decode()
    number = confluent.client.register_schema("event", Schema(text, "AVRO", references))
    confluent.close()
    record = FakeRecord(b"\0" + number.to_bytes(4, "big") + b"\x04e2\x04u1")
    document = await _decode(url, record)
    assert (document["id"], document["user"]) == ("e2", {"id": "u1"})
    with pytest.raises(UndecodableError, match="schema 9999 is not in the registry"):
        await _decode(url, FakeRecord(b"\0\0\0\x27\x0f\0"))


async def test_protobuf_needs_serialized_files(url: str) -> None:
    """A registry that gives Protobuf's files as text only makes their records undecodable, and the
    reason says what it would have to answer.
    """
    confluent = Confluent(url)
    number = confluent.client.register_schema("proto", Schema(PROTO, "PROTOBUF"))
    confluent.close()
    client = RegistryClient(SchemaRegistrySettings(url=url))
    assert (await client.fetch(number)).kind == "PROTOBUF"
    await client.close()
    with pytest.raises(UndecodableError, match="has to answer format=serialized"):
        await _decode(url, FakeRecord(b"\0" + number.to_bytes(4, "big") + b"\0"))
