"""Decompression of record batches: bounded, whatever a batch's bytes expand to."""

import gzip
import re
import struct
from collections.abc import Callable
from pathlib import Path

import cramjam
import pytest
from aiokafka import TopicPartition
from aiokafka.codec import gzip_encode, lz4_encode, snappy_encode, zstd_encode
from aiokafka.consumer import fetcher
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder

from consumer.stream.decompression import DECODERS, MAX_BATCH_BYTES, MAX_FETCH_BYTES
from consumer.stream.odd_records import read_odd_records
from consumer.stream.parsed_records import UnreadableBatchError
from support.raw_batches import HEADER, make_batch, seal

read_odd_records()

PLACE = TopicPartition("event", 0)
BLOCK = bytes(16 * 1024 * 1024)
BLOCKS = 32
"""Half a gigabyte in all, eight times the bound."""
XERIAL = b"\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01"
ENCODERS = {1: gzip_encode, 2: snappy_encode, 3: lz4_encode, 4: zstd_encode}
"""By codec."""
SLACK_MIB = 160
"""The bound twice, since the bytes are copied once, and what the allocator keeps."""

LOOKS = 4
"""More than fit in that, were the bytes kept."""


def xerial(*blocks: bytes) -> bytes:
    """Blocks as Java's Snappy clients write them."""
    return XERIAL + b"".join(struct.pack(">i", len(block)) + block for block in blocks)


BOMBS: dict[int, Callable[[], bytes]] = {
    1: lambda: gzip.compress(BLOCK, 1) * BLOCKS,
    2: lambda: xerial(*[bytes(cramjam.snappy.compress_raw(BLOCK))] * BLOCKS),
    3: lambda: lz4_encode(BLOCK) * BLOCKS,
    4: lambda: zstd_encode(BLOCK) * BLOCKS,
}
"""By codec: members, blocks or frames one behind the other, which count as one stream."""


def batch_of(payload: bytes, codec: int, *, base_offset: int = 0) -> bytes:
    """A batch of one record whose compressed bytes are `payload`."""
    batch = make_batch((b"k", b"v", []), timestamps=[5])
    batch[HEADER:] = payload
    batch[22] |= codec
    return seal(batch, base_offset=base_offset)


def fetch(data: bytes, offset: int = 0) -> fetcher.PartitionRecords:
    """The records of a fetch, as aiokafka gives them."""
    records = fetcher.MemoryRecords(data)
    return fetcher.PartitionRecords(PLACE, records, [], offset, None, None, True, 1)


def resident_mib(name: str) -> float:
    """What this process has in memory: now (`VmRSS`), or at most since the last reset (`VmHWM`)."""
    status = Path("/proc/self/status").read_text()
    found = re.search(rf"{name}:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) / 1024


@pytest.mark.parametrize("codec", BOMBS)
def test_a_batch_that_expands_without_bound_is_unreadable_and_takes_no_memory(codec: int) -> None:
    """A small batch that holds more than the bound is held like one that cannot be read, with a
    reason; the batches before it are read, and memory stays bounded however often it is tried.
    """
    bomb = batch_of(BOMBS[codec](), codec, base_offset=1)
    before = resident_mib("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the maximum begins anew
    good = seal(make_batch((b"k", b"good", []), timestamps=[5]))
    assert [record.value for record in fetch(good + bomb)] == [b"good"]
    for _ in range(LOOKS):
        with pytest.raises(UnreadableBatchError, match=r"event/0/1: .*67108864 bytes"):
            next(fetch(bomb, offset=1))
    assert resident_mib("VmHWM") - before < SLACK_MIB


@pytest.mark.parametrize("name", [b"n", b"\xff"], ids=["aiokafka's parser", "our parser"])
def test_many_batches_that_expand_are_read_a_few_at_a_time(name: bytes) -> None:
    """Of a fetch of small batches that each hold megabytes only the first few are read, and the
    next fetch goes on behind them: no record is passed over, none comes twice.
    """
    value = bytes(3 * 1024 * 1024)
    batches = []
    for number in range(12):
        batch = make_batch((b"%d" % number, value, [("n", b"")]), timestamps=[5])
        payload = bytes(batch[HEADER:]).replace(b"\x02n\x00", b"\x02" + name + b"\x00")
        batches.append(batch_of(zstd_encode(payload), 4, base_offset=number))
    keys: list[bytes] = []
    fetches = 0
    while len(keys) < len(batches):
        records = fetch(b"".join(batches[len(keys) :]), offset=len(keys))
        found = [record.key for record in records]
        assert 0 < len(found) <= MAX_FETCH_BYTES / len(value) + 1
        keys += found
        assert records.next_fetch_offset == len(keys)
        fetches += 1
    assert keys == [b"%d" % number for number in range(12)]
    assert fetches > 1


@pytest.mark.parametrize("codec", [1, 2, 3])
def test_batches_of_old_formats_are_bounded_too(codec: int) -> None:
    """Segments that were written before format 2 are decompressed by the same functions."""
    builder = LegacyRecordBatchBuilder(1, codec, 100_000_000)
    builder.append(0, 5, None, bytes(MAX_BATCH_BYTES))
    data = bytes(builder.build())
    with pytest.raises(UnreadableBatchError, match=r"event/0/0: .*67108864 bytes"):
        next(fetch(data))


@pytest.mark.parametrize("codec", ENCODERS)
def test_a_batch_of_just_the_bound_is_read(codec: int) -> None:
    """A batch of exactly the bound is read."""
    assert len(DECODERS[codec](ENCODERS[codec](bytes(MAX_BATCH_BYTES)))) == MAX_BATCH_BYTES


def test_snappy_without_blocks_is_read() -> None:
    """Snappy's raw format, which other clients than Java's write, is read."""
    assert DECODERS[2](snappy_encode(b"value" * 99, xerial_compatible=False)) == b"value" * 99
