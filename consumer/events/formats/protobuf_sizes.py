"""What a value of Protobuf may take in memory, by its schema, before it is parsed.

Two bytes make a message, and a message has room for all its fields, set or not.
"""

from typing import Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor

MAX_MEMORY_BYTES: Final = 64 * 1024 * 1024
"""Of the messages in one value, if as many are in it as its length allows."""
_MESSAGE_BYTES: Final = 48
"""Of a message without fields, with its place in a list that was doubled."""
_FIELD_BYTES: Final = 8
_TEXT_BYTES: Final = 16


def memory_per_byte(message: Descriptor) -> float:
    """The most that a byte of a value takes for a message in a field of `message`, in bytes."""
    return max(map(_of_field, message.fields), default=0.0)


def _of_field(field: FieldDescriptor) -> float:
    held = field.message_type
    if held is None:
        return 0.0
    size = _size(held)
    if held.GetOptions().map_entry:
        value = held.fields_by_name["value"].message_type
        size += _size(value) if value is not None else 0  # it is made also if it is left out
    length = 1  # or a group's end
    return size / (_tag_bytes(field.number) + length)


def _size(message: Descriptor) -> int:
    texts = FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES
    return _MESSAGE_BYTES + sum(
        _TEXT_BYTES if field.type in texts else _FIELD_BYTES for field in message.fields
    )


def _tag_bytes(number: int) -> int:
    """The length of the varint of a field's number and its wire type (three bits)."""
    return -(-(number.bit_length() + 3) // 7)
