"""Protobuf's messages of the tests, made without its compiler."""

from base64 import b64encode
from typing import Any

from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)
from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.message_factory import GetMessageClass

from consumer.events.formats.schemas import WrittenSchema

WELL_KNOWN = (duration_pb2, struct_pb2, timestamp_pb2, wrappers_pb2)
GOOGLE = ".google.protobuf."
KIND = ".com.example.Outer.Event"


def field(
    name: str, number: int, kind: int, type_name: str = "", *, many: bool = False, **more: Any
) -> Field:
    """A field of a message."""
    label = Field.LABEL_REPEATED if many else Field.LABEL_OPTIONAL
    found = Field(name=name, number=number, label=label, **more)
    found.type = kind  # type: ignore[assignment]
    if type_name:
        found.type_name = type_name
    return found


def _map(name: str, key: int, value: int) -> descriptor_pb2.DescriptorProto:
    return descriptor_pb2.DescriptorProto(
        name=name,
        field=[field("key", 1, key), field("value", 2, value)],
        options=descriptor_pb2.MessageOptions(map_entry=True),
    )


OTHER = FileDescriptorProto(
    name="other.proto", package="com.other", syntax="proto3",
    message_type=[descriptor_pb2.DescriptorProto(
        name="Money", field=[field("currency", 1, Field.TYPE_STRING)])],
)  # fmt: skip
EVENT = FileDescriptorProto(
    name="event.proto",
    package="com.example",
    syntax="proto3",
    dependency=["other.proto", *(module.DESCRIPTOR.name for module in WELL_KNOWN)],
    enum_type=[
        descriptor_pb2.EnumDescriptorProto(
            name="Channel",
            value=[
                descriptor_pb2.EnumValueDescriptorProto(name=name, number=number)
                for number, name in enumerate(["UNKNOWN", "PUSH"])
            ],
        )
    ],
    message_type=[
        descriptor_pb2.DescriptorProto(name="First", field=[field("id", 1, Field.TYPE_STRING)]),
        descriptor_pb2.DescriptorProto(
            name="Outer",
            nested_type=[
                descriptor_pb2.DescriptorProto(
                    name="Event",
                    field=[
                        field("id", 1, Field.TYPE_STRING),
                        field("big", 2, Field.TYPE_INT64),
                        field("bigger", 3, Field.TYPE_UINT64),
                        field("is_it", 4, Field.TYPE_BOOL),
                        field("raw", 5, Field.TYPE_BYTES),
                        field("ratio", 6, Field.TYPE_DOUBLE),
                        field("rating", 7, Field.TYPE_FLOAT),
                        field("channel", 8, Field.TYPE_ENUM, ".com.example.Channel"),
                        field("names", 9, Field.TYPE_STRING, many=True),
                        field("counts", 10, Field.TYPE_INT32, many=True),
                        field("kids", 11, Field.TYPE_MESSAGE, KIND, many=True),
                        field("facts", 12, Field.TYPE_MESSAGE,
                              f"{KIND}.FactsEntry", many=True),
                        field("flags", 13, Field.TYPE_MESSAGE,
                              f"{KIND}.FlagsEntry", many=True),
                        field("at", 14, Field.TYPE_MESSAGE, f"{GOOGLE}Timestamp"),
                        field("took", 15, Field.TYPE_MESSAGE, f"{GOOGLE}Duration"),
                        field("anything", 16, Field.TYPE_MESSAGE, f"{GOOGLE}Struct"),
                        field("wrapped", 17, Field.TYPE_MESSAGE, f"{GOOGLE}StringValue"),
                        field("maybe", 18, Field.TYPE_INT32, proto3_optional=True, oneof_index=1),
                        field("left", 19, Field.TYPE_STRING, oneof_index=0),
                        field("right", 20, Field.TYPE_INT32, oneof_index=0),
                        field("money", 21, Field.TYPE_MESSAGE, ".com.other.Money"),
                    ],
                    oneof_decl=[
                        descriptor_pb2.OneofDescriptorProto(name="side"),
                        descriptor_pb2.OneofDescriptorProto(name="_maybe"),
                    ],
                    nested_type=[
                        _map("FactsEntry", Field.TYPE_STRING, Field.TYPE_INT64),
                        _map("FlagsEntry", Field.TYPE_BOOL, Field.TYPE_BYTES),
                    ],
                )
            ],
        ),
    ],
)  # fmt: skip


def _pool() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    for module in WELL_KNOWN:
        pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
    for file in (OTHER, EVENT):
        pool.AddSerializedFile(file.SerializeToString())
    return pool


POOL = _pool()
EVENT_TYPE = GetMessageClass(POOL.FindMessageTypeByName("com.example.Outer.Event"))
FIRST_TYPE = GetMessageClass(POOL.FindMessageTypeByName("com.example.First"))


def written(file: FileDescriptorProto) -> WrittenSchema:
    """A file as a registry answers with it, with what it imports."""
    texts = [b64encode(one.SerializeToString()).decode() for one in (file, OTHER)]
    return WrittenSchema("PROTOBUF", texts[0], ((OTHER.name, texts[1]),))
