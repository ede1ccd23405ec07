"""What the schema registry is asked, and what its answers mean."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from aiohttp import ClientTimeout

from consumer.events.formats.schemas import WrittenSchema
from consumer.records.record import UndecodableError
from consumer.registry import client as client_module
from consumer.registry.client import RegistryClient
from consumer.registry.source import RegistryAwayError, UnknownSchemaError
from consumer.settings import SchemaRegistrySettings
from support.schema_registry import SchemaRegistryDouble, schema_registry

A = {"type": "record", "name": "A", "fields": [{"name": "x", "type": "int"}]}


@pytest.fixture
def registry() -> Iterator[SchemaRegistryDouble]:
    """A registry that listens."""
    with schema_registry() as double:
        yield double


@pytest.fixture
async def client(registry: SchemaRegistryDouble) -> AsyncIterator[RegistryClient]:
    """A client of it."""
    client = RegistryClient(registry.settings)
    yield client
    await client.close()


def _reference(name: str, subject: str | None = None) -> dict[str, Any]:
    return {"name": name, "subject": subject or name, "version": 1}


async def test_a_schema_with_its_references(
    registry: SchemaRegistryDouble, client: RegistryClient
) -> None:
    """A schema comes with all that it refers to, the innermost first and each once, whatever signs
    their subjects have.
    """
    registry.add("a/ b?%", A)
    registry.add("b", '"b"', references=[_reference("A", "a/ b?%")])
    number = registry.add("c", '"c"', references=[_reference("b"), _reference("A", "a/ b?%")])
    found = await client.fetch(number)
    assert found == WrittenSchema("AVRO", '"c"', (("A", json.dumps(A)), ("b", '"b"')))
    assert [path for path in registry.asked if "%2F" in path] == [
        "/subjects/a%2F%20b%3F%25/versions/1?deleted=true"
    ]


async def test_a_schema_by_guid_and_of_protobuf(
    registry: SchemaRegistryDouble, client: RegistryClient
) -> None:
    """A schema is found by its GUID, and one of Protobuf is asked for as a serialized file."""
    registry.add("r", "cg==", "PROTOBUF")
    registry.add("p", "cA==", "PROTOBUF", [_reference("r.proto", "r")])
    guid = registry.answer("GET", "/schemas/ids/2", None)[1]["guid"]
    found = await client.fetch(guid)
    assert found == WrittenSchema("PROTOBUF", "cA==", (("r.proto", "cg=="),))


async def test_what_the_registry_does_not_have(
    registry: SchemaRegistryDouble, client: RegistryClient
) -> None:
    """An id that the registry does not know is final, and so is a reference."""
    number = registry.add("a", A, references=[_reference("gone")])
    for schema_id, why in ((99, "schema 99 is not in"), (number, "refers to is not in")):
        with pytest.raises(UndecodableError, match=why):
            await client.fetch(schema_id)


async def test_a_guid_where_the_registry_has_none(
    registry: SchemaRegistryDouble, client: RegistryClient
) -> None:
    """A GUID is unknown to a registry without GUIDs, as any seventeen bytes may begin with one; at
    a wrong URL the registry is away.
    """
    guid = "01010101-0101-0101-0101-010101010101"
    registry.has_guids = False
    with pytest.raises(UnknownSchemaError, match="has no GUIDs"):
        await client.fetch(guid)
    registry.status = 404
    with pytest.raises(RegistryAwayError, match="answers 404"):
        await client.fetch(guid)


async def test_a_schema_with_its_references_has_one_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A registry that answers at once for a schema, and never for what it refers to, is away."""

    class Slow(RegistryClient):
        async def _get(self, path: str) -> tuple[int, bytes]:
            if path.startswith("/subjects"):
                await asyncio.Event().wait()
            return 200, json.dumps({"schema": "{}", "references": [_reference("r")]}).encode()

    monkeypatch.setattr(client_module, "_FETCH_SECONDS", 0.05)
    with pytest.raises(RegistryAwayError, match="does not answer in time"):
        async with asyncio.timeout(10.0):
            await Slow(SchemaRegistrySettings(url="http://registry")).fetch(1)


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (500, "answers 500"),
        (503, "answers 503"),
        (429, "answers 429"),
        (404, "answers 404"),
        (301, "answers 301"),
        (401, "refuses the credentials: it answers 401"),
        (403, "refuses the credentials: it answers 403"),
    ],
)
async def test_an_answer_that_says_nothing_of_the_schema(
    registry: SchemaRegistryDouble, client: RegistryClient, status: int, why: str
) -> None:
    """Any other answer means that the registry is away: also a 404 that is not its own, as of a
    wrong path, since a record must not be given up for it.
    """
    number = registry.add("a", A)
    registry.status = status
    for registry.message in ("", "x" * 5 * 1024 * 1024):
        with pytest.raises(RegistryAwayError, match=f"^{why}$"):
            await client.fetch(number)


@pytest.mark.parametrize("references", [5, True, "ab", {"a": 1}, [5]])
async def test_references_of_another_type(
    registry: SchemaRegistryDouble, client: RegistryClient, references: Any
) -> None:
    """References that are none mean that the registry is away, as an answer without a schema."""
    number = registry.add("a", A)
    registry.schemas[number - 1]["references"] = references
    with pytest.raises(RegistryAwayError, match=r"that (is|are) none"):
        await client.fetch(number)


async def test_a_registry_that_does_not_answer(
    registry: SchemaRegistryDouble, client: RegistryClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A registry that refuses connections, or is silent, is away."""
    registry.stop()
    with pytest.raises(RegistryAwayError, match="cannot be asked"):
        await client.fetch(1)
    timeout = ClientTimeout(total=0.05)
    monkeypatch.setattr(client_module, "_TIMEOUT", timeout)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        other = RegistryClient(SchemaRegistrySettings(url=url))
        with pytest.raises(RegistryAwayError, match="does not answer in time"):
            await other.fetch(1)
        await other.close()


async def test_credentials(registry: SchemaRegistryDouble, client: RegistryClient) -> None:
    """Credentials are sent, and others are taken without a new start."""
    number = registry.add("a", A)
    registry.password = "s3cret"
    with pytest.raises(RegistryAwayError, match="refuses the credentials"):
        await client.fetch(number)
    settings = {"url": registry.url + "/", "username": "u", "password": "s3cret"}
    client.use(SchemaRegistrySettings.model_validate(settings))
    assert (await client.fetch(number)).kind == "AVRO"


async def test_bounds(registry: SchemaRegistryDouble, client: RegistryClient) -> None:
    """A schema that is too long, refers to too much, to too deep a chain or to itself without end,
    or is of an unknown type is final, and nothing of it is kept.
    """
    numbers = {
        registry.add("long", '"' + "x" * 1024 * 1024 + '"'): "longer than 1048576",
        registry.add("huge", '"' + "x" * 5 * 1024 * 1024 + '"'): "longer than 1048576",
        registry.add("odd", "x", "THRIFT"): "of an unknown type",
    }
    half = '"' + "x" * 600_000 + '"'
    registry.add("h1", half)
    registry.add("h2", half + " ")
    numbers[registry.add("halves", A, references=[_reference("h1"), _reference("h2")])] = "longer"
    for level in range(12):
        below = [_reference(f"chain{level - 1}")] if level else []
        number = registry.add(f"chain{level}", f'"{level}"', references=below)
    numbers[number] = "deeper than 10"
    for one in range(101):
        registry.add(f"wide{one}", A)
    wide = [_reference(f"wide{one}") for one in range(101)]
    numbers[registry.add("wide", A, references=wide)] = "more than 100 others"
    for schema_id, why in numbers.items():
        with pytest.raises(UndecodableError, match=why):
            await client.fetch(schema_id)
    loop = registry.add("loop", '"loop"', references=[_reference("loop")])
    assert (await client.fetch(loop)).references == (("loop", '"loop"'),)
