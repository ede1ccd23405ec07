"""Avro values, as docs/reference/events.md describes what becomes of them."""

import io
import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import fastavro
import pytest

from consumer.events.formats.avro import AvroReader
from consumer.events.formats.schemas import WrittenSchema
from consumer.events.numbers import LongNumber
from consumer.records.record import UndecodableError

LIST = {"type": "record", "name": "L", "fields": [{"name": "next", "type": ["null", "L"]}]}


def record(*fields: tuple[str, Any], name: str = "R") -> dict[str, Any]:
    """The schema of a record."""
    return {
        "type": "record",
        "name": name,
        "fields": [{"name": field, "type": kind} for field, kind in fields],
    }


def logical(kind: str, logical_type: str, **more: Any) -> dict[str, Any]:
    """The schema of a logical type."""
    return {"type": kind, "logicalType": logical_type, **more}


def written(schema: Any, value: Any) -> bytes:
    """A value as fastavro writes it."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), value)
    return out.getvalue()


def read(schema: Any, value: bytes, references: Sequence[tuple[str, str]] = ()) -> dict[str, Any]:
    """A value as it is read here."""
    return AvroReader(WrittenSchema("AVRO", json.dumps(schema), tuple(references)))(value, 0, None)


@pytest.mark.parametrize(
    ("schema", "value", "becomes"),
    [
        ("long", -(2**63), -(2**63)),
        ("string", "İstanbul", "İstanbul"),
        ("bytes", b"\x00\xff", "AP8="),
        ({"type": "fixed", "name": "F", "size": 2}, b"\x00\xff", "AP8="),
        ({"type": "enum", "name": "E", "symbols": ["A", "B"]}, "B", "B"),
        (["null", "int"], None, None),
        ([record(("a", "int"), name="A"), record(("b", "int"), name="B")], {"b": 1}, {"b": 1}),
        ({"type": "map", "values": ["int", "string"]}, {"x": 1, "y": "z"}, {"x": 1, "y": "z"}),
        ("double", float("inf"), "Infinity"),
        ("float", float("-inf"), "-Infinity"),
        ("double", float("nan"), "NaN"),
        (logical("bytes", "decimal", precision=9, scale=2), Decimal("-0.05"), -0.05),
        (logical("bytes", "decimal", precision=9), Decimal(12), 12),
        (logical("fixed", "decimal", name="D", size=4, precision=9, scale=1), Decimal("1.5"), 1.5),
        (logical("int", "date"), date(2026, 11, 24), "2026-11-24"),
        (logical("int", "time-millis"), time(10, 0, 0, 5000), "10:00:00.005"),
        (logical("long", "time-micros"), time(10, 0, 0, 5), "10:00:00.000005"),
        (logical("int", "time-millis"), -1, -1),
        (logical("string", "uuid"), UUID(int=5), str(UUID(int=5))),
        (logical("fixed", "uuid", name="U", size=16), UUID(int=5).bytes, str(UUID(int=5))),
        (logical("string", "of-nobody"), "x", "x"),
        (
            logical("long", "timestamp-millis"),
            datetime(2026, 11, 24, 10, 0, 0, 123_000, UTC),
            "2026-11-24T10:00:00.123Z",
        ),
        (logical("long", "timestamp-micros"), datetime(1969, 1, 1, tzinfo=UTC), None),
        (logical("long", "timestamp-nanos"), 1, "1970-01-01T00:00:00.000000001Z"),
        (logical("long", "local-timestamp-millis"), 5_000, "1970-01-01T00:00:05"),
        (logical("long", "timestamp-millis"), 2**62, 2**62),
        (logical("int", "date"), 2**31 - 1, 2**31 - 1),
    ],
)
def test_what_becomes_of_a_value(schema: Any, value: Any, becomes: Any) -> None:
    """Each Avro type becomes the JSON value that the reference names, also in a union."""
    if becomes is None and value is not None:
        becomes = "1969-01-01T00:00:00Z"
    for each in (schema, ["null", schema] if not isinstance(schema, list) else schema):
        whole = record(("x", each))
        assert read(whole, written(whole, {"x": value})) == {"x": becomes}


def test_a_decimal_keeps_its_digits() -> None:
    """A decimal of more digits than a double has is a number as its sender wrote it."""
    schema = record(("x", logical("bytes", "decimal", precision=40, scale=3)))
    found = read(schema, written(schema, {"x": Decimal("12345678901234567890.120")}))["x"]
    assert isinstance(found, LongNumber)
    assert found.text == "12345678901234567890.120"


def test_a_decimal_of_no_scale_is_bytes() -> None:
    """A decimal whose scale is none is bytes, since its logical type counts as absent."""
    for scale in (-1, "2", 401):
        schema = record(("x", logical("bytes", "decimal", precision=9, scale=scale)))
        assert read(schema, b"\x02\x01") == {"x": "AQ=="}


def test_types_of_references_and_namespaces() -> None:
    """A schema's references, and theirs, define types that it names in full or in its namespace."""
    inner = json.dumps({**record(("i", "int"), name="Inner"), "namespace": "com.x"})
    outer = json.dumps({**record(("in", "Inner"), name="Outer"), "namespace": "com.x"})
    schema = {**record(("a", "com.x.Outer"), ("b", "Inner"), ("n", "null")), "namespace": "com.x"}
    references = [("com.x.Inner", inner), ("com.x.Outer", outer)]
    assert read(schema, b"\x02\x04", references) == {"a": {"in": {"i": 1}}, "b": {"i": 2}}


def test_a_type_in_itself_is_read_to_a_bound() -> None:
    """Values of a recursive schema are read to 32 levels of the type in itself; deeper ones, also a
    hundred thousand levels, are undecodable.
    """
    assert read(LIST, b"\x02" * 31 + b"\x00")["next"]["next"]
    for levels in (32, 100_000):
        with pytest.raises(UndecodableError, match="nested too deeply"):
            read(LIST, b"\x02" * levels + b"\x00")
    tree = record(("kids", {"type": "array", "items": "T"}), ("m", {"type": "map", "values": "T"}),
                  name="T")  # fmt: skip
    leaf: dict[str, Any] = {"kids": [], "m": {}}
    value = {"kids": [leaf, {"kids": [leaf], "m": {"a": leaf}}], "m": {}}
    assert read(tree, written(tree, value)) == value


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ("not JSON at all", "no Avro schema|nor a reference"),
        (7, "no Avro schema"),
        ([], "no Avro schema"),
        ({}, "no Avro schema"),
        ({"type": "record", "name": "R"}, "no Avro schema"),
        ({"type": "fixed", "name": "F", "size": -1}, "no Avro schema"),
        (record(("x", "Unknown")), "neither it nor a reference defines"),
        (record(("x", {"type": "array", "items": "null"})), "an array of what takes no bytes"),
        (record(("x", {"type": "array", "items": record(name="Y")})), "takes no bytes"),
        (record(*((f"f{i}", "int") for i in range(60_000))), "more than 50000 types"),
    ],
)
def test_a_schema_that_cannot_be_used(schema: Any, why: str) -> None:
    """A schema that is none, or beyond the bounds, makes its values undecodable and says why."""
    with pytest.raises(UndecodableError, match=why):
        read(schema, b"\x00")


def test_a_schema_of_many_levels() -> None:
    """A schema of hundreds of types in each other is refused."""
    schema: Any = "int"
    for _ in range(450):
        schema = {"type": "array", "items": schema}
    with pytest.raises(UndecodableError, match="nested deeper than 400 types"):
        read(record(("x", schema)), b"\x00")


@pytest.mark.parametrize(
    ("schema", "value", "why"),
    [
        (record(("x", "string")), b"\x08ab", "does not fit"),
        (record(("x", "string")), b"\x04ab!", "does not end where"),
        (record(("x", "string")), b"\x04\xff\xfe", "does not fit"),
        (record(("x", {"type": "fixed", "name": "F", "size": 9})), b"ab", "does not fit"),
        (record(("x", ["null", "int"])), b"\x08", "does not fit"),
        (record(("x", {"type": "array", "items": "int"})), b"\xfe\xff\xff\xff\xff\x0f\x00",
         "does not fit"),
        ("int", b"\x02", "neither a record nor a map"),
        (record(("x", logical("bytes", "decimal", precision=9))), b"\x80\x10" + b"1" * 1024,
         "more than 400 bytes"),
        (record(("x", {"type": "array", "items": logical("int", "date")})),
         b"\x80\x80\x04" + b"\x02" * 32_768 + b"\x00", "more than 20000 values"),
        (record(("x", {"type": "array", "items": record(("y", ["null", "int"]), name="Y")})),
         b"\x00" * 400_000, "too long"),
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit(schema: Any, value: bytes, why: str) -> None:
    """A value that does not fit its schema, or would take long, is undecodable and says why."""
    with pytest.raises(UndecodableError, match=why):
        read(schema, value)
