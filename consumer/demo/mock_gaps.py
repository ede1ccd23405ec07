"""What librdkafka's mock cluster leaves out, made good in the processes that read from it.

It ends a transaction with a marker whose checksum is zero, which no reader takes, and it knows no
offset of a time. Everything else about its transactions and offsets is as a broker's.
"""

import asyncio
import struct
from typing import Final

from consumer.stream import record_batches
from consumer.stream.odd_records import FetchedBytes
from consumer.stream.partition_log import PartitionLog

_PAUSE_SECONDS: Final = 0.01
_LENGTH: Final = struct.Struct(">i")
_CHECKSUM: Final = struct.Struct(">I")
_LENGTH_OFFSET: Final = 8
_CHECKSUM_OFFSET: Final = 17
_ATTRIBUTES_OFFSET: Final = 21
"""The checksum covers everything from here on."""
_LOG_OVERHEAD: Final = 12
"""Bytes before those that the length counts."""
_CONTROL_FLAG: Final = 0x20
_NO_CHECKSUM: Final = bytes(4)


def close_mock_gaps() -> None:
    """Read from the mock cluster as from a broker, in this process. To be called once."""
    plain = FetchedBytes.__init__

    def with_markers(self: FetchedBytes, data: bytes) -> None:
        plain(self, with_checksums(data))

    FetchedBytes.__init__ = with_markers  # type: ignore[method-assign]
    PartitionLog.offset_at = _offset_at  # type: ignore[method-assign]


async def _offset_at(self: PartitionLog, timestamp: int) -> int | None:
    """`PartitionLog.offset_at` by reading on: the demo's topics are short."""
    offset, end = await self.start(), await self.stable_end()
    while offset < end:
        fetched = await self.fetch(offset, 0.0)
        if fetched is None:
            await asyncio.sleep(_PAUSE_SECONDS)
            continue
        for record in fetched:
            if record.timestamp >= timestamp:
                return record.offset
        offset = fetched.next_offset
    return None


def with_checksums(data: bytes) -> bytes:
    """The batches of a fetch (format 2), with a checksum in each marker that has none."""
    changed = bytearray(data)
    begin = 0
    while begin + _ATTRIBUTES_OFFSET + 2 <= len(data):
        end = begin + _LOG_OVERHEAD + _LENGTH.unpack_from(data, begin + _LENGTH_OFFSET)[0]
        checked = begin + _ATTRIBUTES_OFFSET
        is_marker = data[checked + 1] & _CONTROL_FLAG
        checksum = begin + _CHECKSUM_OFFSET
        if is_marker and data[checksum:checked] == _NO_CHECKSUM and end <= len(data):
            _CHECKSUM.pack_into(changed, checksum, record_batches.checksum(data[checked:end]))
        begin = max(end, checked)
    return bytes(changed)
