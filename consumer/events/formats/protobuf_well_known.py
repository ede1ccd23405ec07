"""Tells Protobuf's own types from others that have taken their names."""

from collections.abc import Iterator
from typing import Any, Final

from google.protobuf import duration_pb2, struct_pb2, timestamp_pb2, wrappers_pb2
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pool import DescriptorPool

from consumer.events.formats.protobuf_files import DECIMAL, decimal_file


def _own_types() -> Iterator[Descriptor]:
    for module in (duration_pb2, struct_pb2, timestamp_pb2, wrappers_pb2):
        yield from module.DESCRIPTOR.message_types_by_name.values()
    pool = DescriptorPool()
    pool.AddSerializedFile(decimal_file().SerializeToString())
    yield pool.FindMessageTypeByName(DECIMAL)


_OWN_TYPES: Final = {each.full_name: each for each in _own_types()}


def is_well_known(message: Descriptor) -> bool:
    """Whether `message` is a type with a JSON form of its own. One that has only the name of such a
    type, and other fields, is a message like all others.
    """
    own = _OWN_TYPES.get(message.full_name)
    return own is not None and _has_same_fields(message, own, set())


def _has_same_fields(message: Descriptor, own: Descriptor, compared: set[str]) -> bool:
    if own.full_name in compared:
        return True
    compared.add(own.full_name)
    if _shape(message) != _shape(own):
        return False
    held = ((field.message_type, message.fields_by_name[field.name]) for field in own.fields)
    return all(
        each is None
        or its.message_type is None
        or _has_same_fields(its.message_type, each, compared)
        for each, its in held
    )


def _shape(message: Descriptor) -> dict[str, tuple[Any, ...]]:
    """What code that knows a type relies on, by the name of each field."""
    return {
        field.name: (
            field.type,
            field.is_repeated,
            field.message_type.full_name if field.message_type is not None else "",
            field.containing_oneof.name if field.containing_oneof is not None else "",
        )
        for field in message.fields
    }
