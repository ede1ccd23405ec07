"""Protobuf's schemas and values that were written to do harm end as undecodable."""

import resource
from base64 import b64encode

import pytest
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field

from consumer.events.formats.protobuf import ProtobufReader
from consumer.events.formats.schemas import WrittenSchema
from consumer.records.record import UndecodableError
from support.proto_messages import field


def reader(*messages: DescriptorProto, syntax: str = "proto3", package: str = "") -> ProtobufReader:
    """The reader of a file with these messages, of which a value is the first."""
    file = FileDescriptorProto(
        name="a.proto", syntax=syntax, package=package, message_type=messages
    )
    return ProtobufReader(WrittenSchema("PROTOBUF", b64encode(file.SerializeToString()).decode()))


def wide(fields: int) -> DescriptorProto:
    """A message with many fields."""
    return DescriptorProto(
        name="W", field=[field(f"f{n}", n, Field.TYPE_DOUBLE) for n in range(1, fields + 1)]
    )


def text_map(**more: DescriptorProto) -> DescriptorProto:
    """A message with a map of texts, or of the type in `more`."""
    value = (
        field("value", 2, Field.TYPE_MESSAGE, f".{more['of'].name}")
        if more
        else field("value", 2, Field.TYPE_STRING)
    )
    entry = DescriptorProto(name="XEntry", field=[field("key", 1, Field.TYPE_STRING), value])
    entry.options.map_entry = True
    return DescriptorProto(
        name="M",
        field=[field("x", 1, Field.TYPE_MESSAGE, ".M.XEntry", many=True)],
        nested_type=[entry],
    )


@pytest.mark.parametrize(
    "main",
    [
        DescriptorProto(name="M", field=[field("c", 1, Field.TYPE_MESSAGE, ".W", many=True)]),
        text_map(of=wide(1)),
    ],
    ids=["list", "map"],
)
def test_a_value_takes_bounded_memory(main: DescriptorProto) -> None:
    """A value of which two bytes make a message of thousands of fields is undecodable before such
    messages are made.
    """
    read = reader(main, wide(3_000))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UndecodableError, match="may take more memory"):
        read(b"\0" + b"\x0a\x00" * 10_000, 0, None)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024  # KiB


def test_a_wide_type_is_no_harm_where_it_is_the_whole_value() -> None:
    """A long text in a message of hundreds of fields, that no other holds, is an event."""
    main = DescriptorProto(
        name="M", field=[field(f"f{n}", n, Field.TYPE_STRING) for n in range(1, 800)]
    )
    text = b"x" * 1_000_000
    assert reader(main)(b"\0\x0a\xc0\x84\x3d" + text, 0, None)["f1"] == text.decode()


@pytest.mark.parametrize("name", ["HasField", "ListFields", "DESCRIPTOR", "__class__"])
def test_a_field_with_a_name_of_the_library(name: str) -> None:
    """A field of whose name Protobuf's library has a method makes its schema unusable."""
    with pytest.raises(UndecodableError, match=f"field {name} has a name"):
        reader(DescriptorProto(name="M", field=[field(name, 1, Field.TYPE_STRING)]))


def test_a_chain_of_types() -> None:
    """A schema with a chain of thousands of types is undecodable, wherever the chain begins."""
    chain = [
        DescriptorProto(name=f"N{n}", field=[field("c", 1, Field.TYPE_MESSAGE, f".M.N{n + 1}")])
        for n in range(2_000)
    ]
    last = DescriptorProto(name="N2000", field=[field("id", 1, Field.TYPE_STRING)])
    with pytest.raises(UndecodableError, match="too deep"):
        reader(DescriptorProto(name="M", nested_type=[*chain, last]))


def test_a_nested_type_is_read() -> None:
    """A value may be of a nested type, but not of a map's entry or of one that is not there."""
    inner = DescriptorProto(name="I", field=[field("id", 1, Field.TYPE_STRING)])
    main = text_map()
    main.nested_type.append(inner)
    read = reader(main)
    assert read(b"\x04\x00\x02\x0a\x01e", 0, None) == {"id": "e"}
    for index in (b"\x00", b"\x04"):
        with pytest.raises(UndecodableError, match="does not have"):
            read(b"\x04\x00" + index, 0, None)


@pytest.mark.parametrize("name", ["Timestamp", "Duration", "StringValue", "Value", "Struct"])
def test_a_well_known_name_of_another_type(name: str) -> None:
    """A type that takes the name of a well-known one, and has other fields, is an object of these,
    as all messages are.
    """
    main = DescriptorProto(name=name, field=[field("id", 1, Field.TYPE_STRING)])
    assert reader(main, package="google.protobuf")(b"\0\x0a\x01e", 0, None) == {"id": "e"}


def test_a_well_known_type_with_a_value_of_another_type() -> None:
    """A wrapper of a message is an object, of which nothing but JSON's types comes out."""
    inner = DescriptorProto(name="I", field=[field("id", 1, Field.TYPE_STRING)])
    main = DescriptorProto(
        name="BoolValue", field=[field("value", 1, Field.TYPE_MESSAGE, ".google.protobuf.I")]
    )
    read = reader(main, inner, package="google.protobuf")
    assert read(b"\0\x0a\x03\x0a\x01e", 0, None) == {"value": {"id": "e"}}


def test_a_duration_of_texts_is_not_multiplied() -> None:
    """The fields of another `Duration` are not computed with: a text times a billion would be a
    gigabyte.
    """
    main = DescriptorProto(
        name="Duration",
        field=[field("seconds", 1, Field.TYPE_STRING), field("nanos", 2, Field.TYPE_STRING)],
    )
    read = reader(main, package="google.protobuf")
    assert read(b"\0\x0a\x01e", 0, None) == {"seconds": "e", "nanos": ""}


def test_a_struct_of_other_values() -> None:
    """A `Struct` whose `Value` is another type is an object of its fields."""
    value = DescriptorProto(name="Value", field=[field("id", 1, Field.TYPE_STRING)])
    entry = DescriptorProto(
        name="FieldsEntry",
        field=[
            field("key", 1, Field.TYPE_STRING),
            field("value", 2, Field.TYPE_MESSAGE, ".google.protobuf.Value"),
        ],
    )
    entry.options.map_entry = True
    fields = field(
        "fields", 1, Field.TYPE_MESSAGE, ".google.protobuf.Struct.FieldsEntry", many=True
    )
    main = DescriptorProto(name="Struct", field=[fields], nested_type=[entry])
    read = reader(main, value, package="google.protobuf")
    written = b"\0\x0a\x08\x0a\x01k\x12\x03\x0a\x01e"
    assert read(written, 0, None) == {"fields": {"k": {"id": "e"}}}


@pytest.mark.parametrize(
    ("main", "data"),
    [
        (DescriptorProto(name="M", field=[field("x", 1, Field.TYPE_STRING)]), b"\x0a\x02\xff\xfe"),
        (
            DescriptorProto(name="M", field=[field("x", 1, Field.TYPE_STRING, many=True)]),
            b"\x0a\x02\xff\xfe",
        ),
        (text_map(), b"\x0a\x04\x0a\x02\xff\xfe"),
        (text_map(), b"\x0a\x04\x12\x02\xff\xfe"),
    ],
    ids=["text", "list", "key", "value"],
)
@pytest.mark.parametrize("syntax", ["proto2", "proto3"])
def test_text_that_is_no_utf8(main: DescriptorProto, data: bytes, syntax: str) -> None:
    """A text that is not UTF-8 makes a value undecodable, also in proto2, where Protobuf's library
    gives its bytes.
    """
    with pytest.raises(UndecodableError, match=r"no UTF-8|does not fit"):
        reader(main, syntax=syntax)(b"\0" + data, 0, None)
