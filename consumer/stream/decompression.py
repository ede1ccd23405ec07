"""Bounded decompression of record batches.

The broker limits only the compressed size of a batch (`max.message.bytes`), and one megabyte can
hold gigabytes (a decompression bomb). aiokafka decompresses without a limit.
"""

import sys
from collections.abc import Callable, Iterator
from gzip import GzipFile
from io import BytesIO
from mmap import MADV_DONTNEED, MAP_ANONYMOUS, MAP_PRIVATE, mmap
from struct import unpack_from
from threading import Lock
from typing import Any

import cramjam
from aiokafka import codec
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.legacy_records import LegacyRecordBatch

from consumer.stream.parsed_records import UnreadableBatchError

MAX_BATCH_BYTES = 64 * 1024 * 1024
"""Limit for a decompressed batch: 64 times a broker's default batch size. JSON is compressed by a
factor of ten to twenty."""
MAX_FETCH_BYTES = 8 * 1024 * 1024
"""Decompressed bytes of one partition's fetch after which no further batch of it is read. The rest
is fetched again, which is cheap; JSON stays below this limit."""
_MAX_RESIDENT_BYTES = 1024 * 1024
"""A batch that used more of the buffer gives the memory back to the system."""
_XERIAL_HEADER_BYTES = 16


class _Decompressed:
    """Total bytes decompressed by the process, without oversized batches."""

    total = 0


decompressed = _Decompressed()
_lock = Lock()
_buffer = mmap(-1, MAX_BATCH_BYTES, flags=MAP_PRIVATE | MAP_ANONYMOUS)
"""Uses memory only as far as it is written. A new buffer for each batch took more time than the
decompression of a small one."""


def gzip_decode(data: bytes) -> bytes:
    """Decompress a gzip stream. Raises `UnreadableBatchError` above `MAX_BATCH_BYTES`."""
    with GzipFile(fileobj=BytesIO(data)) as stream:
        found = stream.read(MAX_BATCH_BYTES + 1)
    if len(found) > MAX_BATCH_BYTES:
        raise _too_large()
    return _counted(found)


def snappy_decode(data: bytes) -> bytes:
    """Decompress Snappy's raw format, or blocks of it as Java's clients write them.

    Raises `UnreadableBatchError` above `MAX_BATCH_BYTES`.
    """
    raw = bytes(data)
    blocks = list(_xerial_blocks(raw)) if codec._detect_xerial_stream(raw) else [raw]  # noqa: SLF001
    if sum(map(cramjam.snappy.decompress_raw_len, blocks)) > MAX_BATCH_BYTES:
        raise _too_large()
    return _counted(b"".join(bytes(cramjam.snappy.decompress_raw(block)) for block in blocks))


def lz4_decode(data: bytes) -> bytes:
    """Decompress an LZ4 frame. Raises `UnreadableBatchError` above `MAX_BATCH_BYTES`."""
    return _into_buffer(cramjam.lz4.decompress_into, data)


def zstd_decode(data: bytes) -> bytes:
    """Decompress a Zstandard frame. Raises `UnreadableBatchError` above `MAX_BATCH_BYTES`."""
    return _into_buffer(cramjam.zstd.decompress_into, data)


DECODERS: dict[int, Callable[[bytes], bytes]] = {
    0: bytes,
    1: gzip_decode,
    2: snappy_decode,
    3: lz4_decode,
    4: zstd_decode,
}
"""Decoders by the codec number in a batch's attributes."""


def bound_decompression() -> None:
    """Make aiokafka's parsers use these functions. Idempotent."""
    for batch in (DefaultRecordBatch, LegacyRecordBatch):
        module = vars(sys.modules[batch.__module__])
        for decode in (gzip_decode, snappy_decode, lz4_decode, zstd_decode):
            if decode.__name__ in module:  # the formats before 2 have no Zstandard
                module[decode.__name__] = decode


def _into_buffer(decompress: Callable[[Any, mmap], int], data: bytes) -> bytes:
    with _lock:  # the library lets other threads run meanwhile
        size = MAX_BATCH_BYTES
        try:
            size = decompress(data, _buffer)
            return _counted(_buffer[:size])
        except cramjam.DecompressionError as error:
            if "whole buffer" in str(error):
                raise _too_large() from error
            raise
        finally:
            if size > _MAX_RESIDENT_BYTES:
                _buffer.madvise(MADV_DONTNEED)


def _counted(data: bytes) -> bytes:
    decompressed.total += len(data)
    return data


def _xerial_blocks(data: bytes) -> Iterator[bytes]:
    start = _XERIAL_HEADER_BYTES
    while start < len(data):
        (size,) = unpack_from(">I", data, start)
        start += 4
        yield data[start : start + size]
        start += size


def _too_large() -> UnreadableBatchError:
    return UnreadableBatchError(f"a batch has more than {MAX_BATCH_BYTES} bytes when decompressed")
