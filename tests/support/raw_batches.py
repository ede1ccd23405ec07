"""Record batches (KIP-98) byte by byte, and their way into a topic past aiokafka's own encoder."""

import struct
from collections.abc import Sequence

from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

from support.cluster import Cluster

Headers = Sequence[tuple[str, bytes | None]]
Written = tuple[bytes | None, bytes | None, Headers]
"""Key, value and headers."""

_CRC = 17
_ATTRIBUTES = 21
"""Where a batch's checksum is, and where what it covers begins."""
HEADER = 61
"""Bytes before a batch's first record."""


def make_batch(
    *records: Written, timestamps: Sequence[int] | None = None, compression: int = 0
) -> bytearray:
    """One batch as a producer sends it, whose first record has offset 0; `timestamps` in
    milliseconds, now unless the test says otherwise.
    """
    builder = DefaultRecordBatchBuilder(2, compression, 0, -1, -1, -1, 16 * 1024 * 1024)
    for number, (key, value, headers) in enumerate(records):
        timestamp = timestamps[number] if timestamps is not None else None
        builder.append(number, timestamp, key, value, [tuple(header) for header in headers])
    return bytearray(builder.build())


def seal(batch: bytearray, *, base_offset: int | None = None) -> bytes:
    """`batch` with the length and the checksum that fit its bytes."""
    if base_offset is not None:
        struct.pack_into(">q", batch, 0, base_offset)
    struct.pack_into(">i", batch, 8, len(batch) - 12)
    struct.pack_into(">I", batch, _CRC, calc_crc32c(bytes(batch[_ATTRIBUTES:])))
    return bytes(batch)


def rename(batch: bytearray, name: bytes, raw: bytes) -> bytes:
    """`batch` with the header name `name` replaced by as many bytes that may be no UTF-8."""
    assert len(name) == len(raw)
    assert name in batch
    return seal(bytearray(bytes(batch).replace(name, raw)))


class _Sealed(BatchBuilder):  # type: ignore[misc]  # aiokafka has no types
    """A batch that is ready: a producer without idempotence sends its bytes as they are."""

    def __init__(self, data: bytes) -> None:
        super().__init__(len(data), 0)
        self._buffer = bytearray(data)
        self._relative_offset = 1
        self._closed = True


async def write_batch(cluster: Cluster, topic: str, data: bytes, *, partition: int = 0) -> int:
    """Write one batch; its first record's offset. Raises aiokafka's error if it is refused."""
    async with cluster.producer(retry_backoff_ms=20) as producer:
        sent = await producer.send_batch(_Sealed(data), topic, partition=partition)
        offset: int = (await sent).offset
        return offset
