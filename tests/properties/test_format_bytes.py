"""Any bytes in a format with a schema: an event, or undecodable, and nothing else."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.events.formats.compiled import compile_schema
from consumer.events.formats.schemas import SchemaReader, WrittenSchema
from consumer.records.record import UndecodableError
from support.proto_messages import EVENT, EVENT_TYPE, written

_KINDS = ["null", "boolean", "int", "long", "float", "double", "bytes", "string", "R", "F",
          {"type": "array", "items": "R"}, {"type": "map", "values": ["null", "R", "string"]},
          {"type": "int", "logicalType": "date"},
          {"type": "long", "logicalType": "timestamp-micros"},
          {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 3}]  # fmt: skip
_FIXED = {"type": "fixed", "name": "F", "size": 3}
AVRO: dict[str, Any] = {"type": "record", "name": "R", "fields": [
    {"name": f"f{number}", "type": ["null", kind] if kind == "R" else kind}
    for number, kind in enumerate([_FIXED, *_KINDS])]}  # fmt: skip
READERS = {
    "avro": compile_schema(WrittenSchema("AVRO", json.dumps(AVRO))),
    "protobuf": compile_schema(written(EVENT)),
}


@given(st.binary(max_size=300))
@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_any_bytes(reader: SchemaReader, value: bytes) -> None:
    """Any bytes are an event or undecodable, and raise nothing else."""
    with suppress(UndecodableError):
        assert type(reader(value, 0, None)) is dict


@given(st.data())
def test_changed_messages(data: st.DataObject) -> None:
    """A message with changed or missing bytes is an event or undecodable."""
    kid = EVENT_TYPE(id="kid", big=-1, facts={"a": 1}, names=["x"])
    kid.anything.update({"a": [1, {"b": None}]})  # type: ignore[attr-defined]
    raw = bytearray(EVENT_TYPE(id="e1", kids=[kid, kid], flags={True: b"x"}).SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    value = b"\x04\x02\x00" + bytes(raw[: data.draw(st.integers(1, len(raw)))])
    with suppress(UndecodableError):
        assert type(READERS["protobuf"](value, 0, None)) is dict


@given(st.recursive(
    st.sampled_from(["null", "int", "string", "Unknown", 7, None, "R"]) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.fixed_dictionaries(
        {"type": st.sampled_from(["record", "array", "map", "enum", "fixed", "int"]) | inner},
        optional={"name": st.sampled_from(["R", "a.b", ""]) | inner, "items": inner,
                  "values": inner, "symbols": st.lists(st.text(max_size=2)) | inner,
                  "size": st.integers(-1, 9) | inner, "logicalType": st.just("decimal") | inner,
                  "scale": st.integers(-1, 500), "namespace": st.text(max_size=2) | inner,
                  "fields": st.lists(st.fixed_dictionaries(
                      {"name": st.sampled_from(["x", "y"]), "type": inner}), max_size=3)}),
    max_leaves=12,
), st.binary(max_size=20))  # fmt: skip
def test_any_avro_schema(schema: Any, value: bytes) -> None:
    """Any JSON is a schema or makes values undecodable, and raises nothing else."""
    with suppress(UndecodableError):
        reader = compile_schema(WrittenSchema("AVRO", json.dumps(schema)))
        assert type(reader(value, 0, None)) is dict
