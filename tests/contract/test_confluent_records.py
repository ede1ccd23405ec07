"""Records that Confluent's serializers have written are the same events as in JSON."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.events.decode import Decoder
from consumer.events.formats.auto import AutoFormat
from consumer.events.formats.compiled import compile_schema
from consumer.events.formats.format import FormatName
from consumer.events.formats.schemas import SchemaId, SchemaReader, WrittenSchema
from consumer.factories import make_format
from consumer.records.record import UndecodableError
from support.fakes import FakeRecord
from support.registered import PLACES, Confluent
from support.schema_registry import SchemaRegistryDouble

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SCHEMA: dict[str, Any] = {
    "type": "record", "name": "Event", "namespace": "com.example", "fields": [
        {"name": "id", "type": "string"},
        {"name": "occurred_at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "app", "type": ["null", "string"], "default": None},
        {"name": "user", "type": {"type": "record", "name": "User", "fields": [
            {"name": "id", "type": "string"},
            {"name": "attributes", "type": {"type": "map", "values": [
                "null", "boolean", "long", "string", {"type": "array", "items": "string"}]}},
        ]}},
        {"name": "data", "type": {"type": "record", "name": "Data", "fields": [
            {"name": "event_key", "type": "string"},
            {"name": "price", "type": {
                "type": "bytes", "logicalType": "decimal", "precision": 40, "scale": 2}},
            {"name": "rating", "type": "double"},
            {"name": "channel", "type": {
                "type": "enum", "name": "Channel", "symbols": ["PUSH", "MAIL"]}},
            {"name": "related", "type": {"type": "array", "items": "Data"}},
        ]}},
    ],
}  # fmt: skip
_DATA: Any = st.deferred(
    lambda: st.fixed_dictionaries(
        {
            "event_key": TEXT,
            "price": st.integers(-(10**37), 10**37).map(lambda cents: Decimal(cents).scaleb(-2)),
            "rating": st.floats(-1e6, 1e6),
            "channel": st.sampled_from(["PUSH", "MAIL"]),
            "related": st.lists(_DATA, max_size=2),
        }
    )
)
EVENTS = st.fixed_dictionaries(
    {
        "id": TEXT.filter(bool),
        "occurred_at": st.integers(0, 4_000_000_000_000),
        "app": st.none() | TEXT,
        "user": st.fixed_dictionaries(
            {
                "id": TEXT,
                "attributes": st.dictionaries(
                    TEXT,
                    st.none()
                    | st.booleans()
                    | st.integers(-(2**63), 2**63 - 1)
                    | TEXT
                    | st.lists(TEXT, max_size=2),
                    max_size=3,
                ),
            }
        ),
        "data": _DATA,
    }
)


class ReadSchemas:
    """The schemas of a double, without the network."""

    def __init__(self, registry: SchemaRegistryDouble) -> None:
        self._registry = registry
        self._readers: dict[SchemaId, SchemaReader] = {}

    def reader(self, schema_id: SchemaId) -> SchemaReader:
        """See `Schemas`."""
        if schema_id not in self._readers:
            kind = "ids" if isinstance(schema_id, int) else "guids"
            path = f"/schemas/{kind}/{schema_id}?format=serialized"
            status, found = self._registry.answer("GET", path, None)
            if status != 200:
                raise UndecodableError(str(found))
            written = WrittenSchema(found.get("schemaType", "AVRO"), found["schema"])
            self._readers[schema_id] = compile_schema(written)
        return self._readers[schema_id]


@pytest.fixture(scope="module")
def schemas(registry: SchemaRegistryDouble) -> ReadSchemas:
    """The registry's schemas."""
    return ReadSchemas(registry)


def _shown(document: Any) -> str:
    """A tree as JSON text, with the digits of its numbers."""
    return json.dumps(document, default=lambda number: {"number": number.text}, sort_keys=True)


def _as_json(event: dict[str, Any]) -> FakeRecord:
    """The record of the same event in JSON; a decimal as its digits."""
    marks: list[str] = []

    def digits(value: Decimal) -> str:
        marks.append(f"{value:.2f}")
        return f"@{len(marks) - 1}@"

    text = json.dumps(event, default=digits)
    for number, mark in enumerate(marks):
        text = text.replace(f'"@{number}@"', mark)
    return FakeRecord(text.encode())


@pytest.mark.parametrize("format", ["avro", "auto"])
@pytest.mark.parametrize("place", PLACES)
def test_an_avro_event_is_the_json_event(
    confluent: Confluent, schemas: ReadSchemas, place: str, format: FormatName
) -> None:
    """An event that Confluent's Avro serializer wrote, with the schema's id before the value or in
    a header, is the JSON event of the same values: a time in milliseconds is the same moment, and
    each decimal the same number.
    """

    @given(EVENTS)
    def check(event: dict[str, Any]) -> None:
        record = confluent.avro(SCHEMA, event, place)
        assert bool(record.headers) == (place == "header")
        decoded = Decoder("event", None, make_format(format, schemas))(record)
        expected = Decoder("event")(_as_json(event))
        assert (decoded.id, decoded.app, decoded.subject) == (
            expected.id, expected.app, expected.subject,
        )  # fmt: skip
        assert decoded.occurred_at == pytest.approx(expected.occurred_at, abs=1e-6)
        for part in ("user", "data"):
            assert _shown(decoded.document[part]) == _shown(expected.document[part])

    check()


def test_evolved_schemas(confluent: Confluent, schemas: ReadSchemas) -> None:
    """A value is read with the schema that it was written with: fields that came later are absent,
    and those that went are there.
    """
    older = {"type": "record", "name": "E", "fields": [{"name": "id", "type": "string"},
             {"name": "old", "type": "int"}]}  # fmt: skip
    newer = {"type": "record", "name": "E", "fields": [{"name": "id", "type": "string"},
             {"name": "new", "type": ["null", "string"], "default": None}]}  # fmt: skip
    decoder = Decoder("event", None, make_format("avro", schemas))
    first = decoder(confluent.avro(older, {"id": "a", "old": 1})).document
    second = decoder(confluent.avro(newer, {"id": "b", "new": "x"})).document
    assert (first["old"], "new" in first) == (1, False)
    assert (second["new"], "old" in second) == ("x", False)


def test_another_format_s_schema(registry: SchemaRegistryDouble, schemas: ReadSchemas) -> None:
    """A value of another kind of schema than the source's format is undecodable; `auto` takes each,
    also JSON with its schema.
    """
    number = registry.add("json-value", "{}", "JSON")
    record = FakeRecord(b"\0" + number.to_bytes(4, "big") + b'{"id": "e1"}')
    assert AutoFormat(schemas)(record.value, ())["id"] == "e1"
    with pytest.raises(UndecodableError, match="is of JSON, and the source's format is another"):
        make_format("avro", schemas)(record.value, ())  # type: ignore[misc]


@pytest.mark.parametrize("value", [b"", b"\0", b"\0\0\0\0", b"\1" + b"\0" * 15, b"\2" * 40, b"{}"])
def test_what_has_no_id(schemas: ReadSchemas, value: bytes) -> None:
    """A value without a schema's id is undecodable."""
    with pytest.raises(UndecodableError, match="no schema's id"):
        make_format("avro", schemas)(value, ())  # type: ignore[misc]


@pytest.mark.parametrize(
    ("value", "headers"),
    [
        (b'{"id": "e1"}', []),
        (b'{"id": "e1"}', [("content-type", b"application/json")]),
        (b'{"specversion": "1.0", "id": "e1", "source": "/s", "type": "t"}',
         [("content-type", b"application/cloudevents+json")]),
        (b"{}", [("ce_specversion", b"1.0"), ("ce_id", b"e1"), ("ce_type", b"t"),
                 ("ce_source", b"/s")]),
    ],
)  # fmt: skip
def test_auto_tells_formats_apart(
    schemas: ReadSchemas, value: bytes, headers: list[tuple[str, bytes]]
) -> None:
    """With `auto` a record is a CloudEvent by its headers, else JSON."""
    assert AutoFormat(schemas)(value, headers)["id"] == "e1"
