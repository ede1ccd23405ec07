"""The indexes that tell which message of a Protobuf file a value is, as Confluent writes them."""

from typing import Final

from consumer.records.record import UndecodableError

MAX_INDEXES: Final = 32
"""Messages in messages."""
_MAX_SHIFT: Final = 28


def read_indexes(data: bytes, start: int) -> tuple[tuple[int, ...], int]:
    """The path of a message and the offset behind it: the number of indexes, then each, in zigzag
    variable-length integers. None of them is the first message. Raises `UndecodableError`.
    """
    if start < len(data) and not data[start]:
        return (0,), start + 1
    count, at = _read(data, start)
    if not 0 <= count <= MAX_INDEXES:
        raise UndecodableError("the value does not say which message of its schema it is")
    indexes = []
    for _ in range(count):
        index, at = _read(data, at)
        indexes.append(index)
    return tuple(indexes), at


def _read(data: bytes, at: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, _MAX_SHIFT + 1, 7):
        if at >= len(data):
            break
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004  # its highest bit says that more follow
            return (number >> 1) ^ -(number & 1), at
    raise UndecodableError("the value does not say which message of its schema it is")
