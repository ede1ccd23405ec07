"""Protobuf that Confluent's serializer has written is the same event as in JSON."""

from typing import Any

import pytest
from google.protobuf import descriptor_pb2, json_format
from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from hypothesis import given
from hypothesis import strategies as st

from consumer.events.formats.compiled import compile_schema
from consumer.events.formats.schemas import SchemaId, SchemaReader, WrittenSchema
from consumer.factories import make_format
from consumer.records.record import UndecodableError
from consumer.registry.client import RegistryClient
from support.proto_messages import EVENT_TYPE, FIRST_TYPE, field, written
from support.registered import PLACES, Confluent
from support.schema_registry import SchemaRegistryDouble

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
ODD = st.sampled_from(["NaN", "Infinity", "-Infinity"])

_VALUES: Any = {
    "id": TEXT,
    "big": st.integers(-(2**63), 2**63 - 1).map(str),
    "bigger": st.integers(0, 2**64 - 1).map(str),
    "is_it": st.booleans(),
    "raw": st.sampled_from(["", "AP8="]),
    "ratio": st.floats(-1e300, 1e300) | ODD,
    "rating": st.floats(width=32, allow_nan=False, allow_infinity=False) | ODD,
    "channel": st.sampled_from(["UNKNOWN", "PUSH"]),
    "names": st.lists(TEXT, max_size=2),
    "counts": st.lists(st.integers(-(2**31), 2**31 - 1), max_size=2),
    "facts": st.dictionaries(TEXT, st.integers(-(2**63), 2**63 - 1).map(str), max_size=2),
    "flags": st.dictionaries(st.sampled_from(["true", "false"]), st.just("AA=="), max_size=2),
    "at": st.sampled_from(["2026-11-24T10:00:00Z", "1969-12-31T23:59:59.123Z",
                           "9999-12-31T23:59:59.999999999Z", "0001-01-01T00:00:00Z"]),
    "took": st.sampled_from(["0s", "1.500s", "-0.000000001s", "-1.500s", "315576000000s"]),
    "anything": st.dictionaries(TEXT, st.none() | st.booleans() | TEXT | st.lists(TEXT, max_size=1)
                                | st.dictionaries(TEXT, st.floats(-9, 9), max_size=1), max_size=2),
    "wrapped": TEXT,
    "maybe": st.integers(0, 5),
    "money": st.fixed_dictionaries({}, optional={"currency": TEXT}),
}  # fmt: skip
_FLAT = st.fixed_dictionaries({}, optional=_VALUES)
MESSAGES = st.builds(
    lambda flat, kids, side: {**flat, "kids": kids, **side},
    _FLAT,
    st.lists(_FLAT, max_size=2),
    st.sampled_from([{}, {"left": ""}, {"right": 7}]),
)


class Fetched:
    """Schemas as the client here fetches them."""

    def __init__(self) -> None:
        self.readers: dict[SchemaId, SchemaReader] = {}

    def reader(self, schema_id: SchemaId) -> SchemaReader:
        """See `Schemas`."""
        return self.readers[schema_id]


@pytest.fixture
async def fetched(registry: SchemaRegistryDouble, confluent: Confluent) -> Fetched:
    """The schemas of the messages."""
    confluent.protobuf(EVENT_TYPE, EVENT_TYPE())
    found, client = Fetched(), RegistryClient(registry.settings)
    for number in range(1, registry.count + 1):
        guid = registry.answer("GET", f"/schemas/ids/{number}", None)[1]["guid"]
        written = await client.fetch(number)
        found.readers[number] = found.readers[guid] = compile_schema(written)
    await client.close()
    return found


def _as_it_is(tree: Any) -> Any:
    """Their JSON with numbers in place of the text of 64-bit ones, but for what is text here."""
    if isinstance(tree, dict):
        return {
            name: {key: int(each) for key, each in value.items()} if name == "facts"
            else int(value) if name in {"big", "bigger"} else _as_it_is(value)
            for name, value in tree.items()
        }  # fmt: skip
    return [_as_it_is(one) for one in tree] if isinstance(tree, list) else tree


@pytest.mark.parametrize("place", PLACES)
def test_a_message_is_its_json(confluent: Confluent, fetched: Fetched, place: str) -> None:
    """A message that Confluent's Protobuf serializer wrote, in a nested type with imports, is what
    Protobuf's JSON mapping makes of it, with the names of the file, the numbers as numbers, and
    each field without presence.
    """
    decode = make_format("protobuf", fetched)
    assert decode is not None

    @given(MESSAGES)
    def check(values: dict[str, Any]) -> None:
        message = json_format.ParseDict(values, EVENT_TYPE())
        record = confluent.protobuf(EVENT_TYPE, message, place)
        assert bool(record.headers) == (place == "header")
        expected = json_format.MessageToDict(
            message, always_print_fields_with_no_presence=True, preserving_proto_field_name=True
        )
        assert decode(record.value, record.headers) == _as_it_is(expected)

    check()


def test_the_first_message_of_a_file(confluent: Confluent, fetched: Fetched) -> None:
    """A value without indexes is the first message of its schema."""
    record = confluent.protobuf(FIRST_TYPE, FIRST_TYPE(id="e1"))
    assert record.value is not None
    assert record.value[5] == 0
    decode = make_format("auto", fetched)
    assert decode is not None
    assert decode(record.value, ())["id"] == "e1"


@pytest.mark.parametrize(
    ("tail", "why"),
    [
        (b"", "which message"),
        (b"\x80\x80\x80\x80\x80\x01", "which message"),
        (b"\x7e", "which message"),
        (b"\x04\x02", "which message"),
        (b"\x02\x14", "a message that its schema does not have"),
        (b"\x02\x01", "a message that its schema does not have"),
        (b"\x04\x02\x14", "a message that its schema does not have"),
        (b"\x00\x0a\x05ab", "does not fit"),
        (b"\x00\x0a\x01\xff", "does not fit"),
        (b"\x04\x02\x00" + b"\x5a\x00" * 60_000, "more than 300000 parts"),
        (b"\x04\x02\x00" + b"\x5a\x7f" * 120 + b"\x00", "does not fit"),
    ],
)
def test_a_hostile_value(fetched: Fetched, tail: bytes, why: str) -> None:
    """A value that names no message, does not fit, or has too many parts is undecodable."""
    number = max(one for one in fetched.readers if isinstance(one, int))
    decode = make_format("protobuf", fetched)
    assert decode is not None
    with pytest.raises(UndecodableError, match=why):
        decode(b"\0" + number.to_bytes(4, "big") + tail, ())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("// the text", "has to answer format=serialized"),
        ("////", "has to answer format=serialized|has a mistake"),
    ],
)
def test_a_file_that_is_none(text: str, why: str) -> None:
    """A schema that is no serialized file makes its values undecodable."""
    with pytest.raises(UndecodableError, match=why):
        compile_schema(WrittenSchema("PROTOBUF", text))


def test_imports_that_no_reference_has() -> None:
    """A file that is imported for its options only is not needed, Confluent's decimal is there, and
    a type that is not there makes values undecodable and names its file.
    """
    file = FileDescriptorProto(
        name="m.proto", syntax="proto3",
        dependency=["confluent/meta.proto", "confluent/type/decimal.proto"],
        message_type=[descriptor_pb2.DescriptorProto(
            name="M", field=[field("price", 1, Field.TYPE_MESSAGE, ".confluent.type.Decimal")])],
    )  # fmt: skip
    reader = compile_schema(written(file))
    assert reader(b"\x00\x0a\x06\x0a\x02\x04\xd2\x18\x02", 0, None) == {"price": 12.34}
    file.message_type[0].field[0].type_name = ".gone.Type"
    file.dependency.append("gone.proto")
    with pytest.raises(UndecodableError, match=r"imports confluent/meta\.proto|imports gone"):
        compile_schema(written(file))


def test_decimals_have_bounds() -> None:
    """A decimal of thousands of digits is undecodable."""
    file = FileDescriptorProto(
        name="m.proto", syntax="proto3", dependency=["confluent/type/decimal.proto"],
        message_type=[descriptor_pb2.DescriptorProto(
            name="M", field=[field("price", 1, Field.TYPE_MESSAGE, ".confluent.type.Decimal")])],
    )  # fmt: skip
    reader = compile_schema(written(file))
    with pytest.raises(UndecodableError, match="more than 400 bytes"):
        reader(b"\x00\x0a\x08\x18\x80\x89\x7a" + b"\x0a\x02\x01\x01", 0, None)
