"""The fields of a Kafka record (format 2, KIP-98), read byte by byte."""

from typing import Self

Headers = tuple[tuple[str, bytes | None], ...]

_MAX_VARINT_BITS = 70
"""Ten bytes of seven bits hold 64."""


class RawHeaderName(str):
    """A header name that is not UTF-8, with its original bytes."""

    __slots__ = ("raw",)

    raw: bytes

    def __new__(cls, raw: bytes) -> Self:
        r"""Bytes that are not UTF-8 are shown as `\xff`."""
        name = super().__new__(cls, raw.decode("utf-8", "backslashreplace"))
        name.raw = raw
        return name


def header_name_bytes(name: str) -> bytes:
    """The bytes of a header name, as they were read."""
    return name.raw if isinstance(name, RawHeaderName) else name.encode()


class MalformedError(Exception):
    """A field does not fit its record."""


class Cursor:
    """A reader of fields from `pos` to `end`. Methods raise `MalformedError`."""

    __slots__ = ("_data", "_end", "_first", "pos")

    def __init__(self, data: bytes, pos: int, end: int) -> None:
        self._data = data
        self._first = pos
        self._end = end
        self.pos = pos

    def all(self) -> bytes:
        """Return all bytes from the first to the end."""
        return self._data[self._first : self._end]

    def part(self, length: int) -> "Cursor":
        """Return a cursor for the next `length` bytes, and skip them."""
        self.take(length)
        return Cursor(self._data, self.pos - length, self.pos)

    def varint(self) -> int:
        """Read a signed integer of up to 64 bits (Protocol Buffers' zigzag)."""
        value = shift = 0
        while self.pos < self._end and shift < _MAX_VARINT_BITS:
            byte = self._data[self.pos]
            self.pos += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:  # noqa: PLR2004  # the last one
                return (value >> 1) ^ -(value & 1)
            shift += 7
        raise MalformedError("an integer does not end")

    def take(self, length: int) -> bytes:
        """Read `length` bytes."""
        if not 0 <= length <= self._end - self.pos:
            raise MalformedError(f"a length of {length}")
        self.pos += length
        return self._data[self.pos - length : self.pos]

    def nullable(self) -> bytes | None:
        """Read bytes with a length prefix; None if the length is negative."""
        length = self.varint()
        return self.take(length) if length >= 0 else None

    def headers(self) -> Headers:
        """Read all headers, up to the end."""
        count = self.varint()
        if not 0 <= count <= self._end - self.pos:
            raise MalformedError(f"{count} headers")
        headers = tuple((_name(self.take(self.varint())), self.nullable()) for _ in range(count))
        if self.pos != self._end:
            raise MalformedError("bytes follow the last header")
        return headers


def _name(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return RawHeaderName(raw)
