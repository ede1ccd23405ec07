"""Any bytes in a record batch: what can be read is, and the rest is one kind of error."""

import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest
from aiokafka import TopicPartition
from aiokafka.codec import gzip_encode, lz4_encode, snappy_encode, zstd_encode
from aiokafka.consumer import fetcher
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given
from hypothesis import strategies as st

from consumer.stream.batch_builder import BatchBuilder
from consumer.stream.odd_records import read_odd_records
from consumer.stream.parsed_records import Unparsed, UnreadableBatchError
from consumer.stream.record_batches import RecordBatches
from consumer.stream.record_fields import RawHeaderName, header_name_bytes
from consumer.stream.replay_route import ReplayRecord
from support.raw_batches import HEADER, Written, make_batch, seal

read_odd_records()

PLACE = TopicPartition("event", 0)
BYTES = st.none() | st.binary(max_size=40)
HEADERS = st.lists(st.tuples(st.text(st.characters(codec="utf-8"), max_size=8), BYTES), max_size=4)
RECORDS = st.lists(st.tuples(BYTES, BYTES, HEADERS), min_size=1, max_size=5)
TIMES = st.integers(min_value=0, max_value=2**45)
ENCODE = (bytes, gzip_encode, snappy_encode, lz4_encode, zstd_encode)
"""By codec."""
BAD_COUNTS = [b"\x01", b"\x03", b"\xff\xff\xff\xff\x0f", b"\xfe" * 9 + b"\x01", b"\xff" * 12]
"""In the place of a number: -1, -2, the least one of 32 bits, the largest of 64, and no end."""


class Fetch(NamedTuple):
    """What a fetch gave, and where it ended."""

    records: list[Any]
    next_offset: int


def fetch(data: bytes, offset: int = 0, isolation: int = 1) -> Fetch:
    """Everything in `data` from `offset` on, as aiokafka's fetcher takes it.

    Raises `UnreadableBatchError` only if nothing came before what it is about.
    """
    records = fetcher.PartitionRecords(
        PLACE, fetcher.MemoryRecords(data), [], offset, None, None, True, isolation
    )
    found: list[Any] = []
    try:
        found += records
    except UnreadableBatchError:
        if not found:
            raise
    return Fetch(found, records.next_fetch_offset)


def written(records: Sequence[Any]) -> list[Written]:
    """A batch of arbitrary records."""
    return [(record.key, record.value, list(record.headers)) for record in records]


@given(RECORDS, st.integers(0, 4), st.data())
def test_both_parsers_read_the_same(
    records: list[Written], codec: int, data: st.DataObject
) -> None:
    """Our parser reads the records that aiokafka's does, whatever they hold and however they are
    compressed.
    """
    times = data.draw(st.lists(TIMES, min_size=len(records), max_size=len(records)))
    batch = seal(make_batch(*records, timestamps=times, compression=codec), base_offset=7)
    theirs = list(MemoryRecords(batch).next_batch())
    ours = list(RecordBatches(batch, 0).next_batch())
    assert written(ours) == written(theirs) == [(k, v, list(h)) for k, v, h in records]
    for record in ("offset", "timestamp", "timestamp_type", "checksum"):
        assert [getattr(r, record) for r in ours] == [getattr(r, record) for r in theirs]


@given(st.lists(st.lists(st.binary(max_size=8), max_size=3), min_size=1, max_size=4))
def test_a_header_name_keeps_its_bytes(names: list[list[bytes]]) -> None:
    """A header name of any bytes is read as text and written back with the same bytes."""
    builder = BatchBuilder(1_000_000, 5)
    for raw in names:
        headers = [(RawHeaderName(name), b"1") for name in raw]
        assert builder.append(ReplayRecord("topic", None, b"v", headers, ""))
    found = fetch(builder._build()).records
    assert [[header_name_bytes(name) for name, _ in record.headers] for record in found] == names
    for name in (name for record in found for name, _ in record.headers):
        str(name).encode("utf-8", "strict")
        assert (type(name) is RawHeaderName) == (
            "\ufffd" in header_name_bytes(name).decode(errors="replace")
        )


@given(RECORDS, st.data())
def test_a_record_without_structure_harms_no_other(
    records: list[Written], data: st.DataObject
) -> None:
    """A record whose bytes have no structure, in a batch that has, is read as its raw bytes."""
    batch = make_batch(*records, timestamps=[5] * len(records))
    number = data.draw(st.integers(0, len(records) - 1))
    start, end = _bounds(batch, number)
    body = start + 3  # behind the attributes, the time and the offset, a byte each
    batch[body:end] = data.draw(st.binary(min_size=end - body, max_size=end - body))
    found = fetch(seal(batch)).records
    assert [record.offset for record in found] == list(range(len(records)))
    good = [(k, v, list(h)) for k, v, h in records]
    del good[number]
    odd = found.pop(number)
    assert written(found) == good
    if type(odd.value) is Unparsed:
        assert (odd.key, odd.value, odd.headers) == (None, bytes(batch[start:end]), ())


@given(RECORDS, st.integers(0, 4), st.data())
def test_nothing_is_passed_over_in_a_batch_that_breaks_off(
    records: list[Written], codec: int, data: st.DataObject
) -> None:
    """The rest of a batch that cannot be split into records is read as one record of raw bytes, and
    the next batch follows it.
    """
    batch = make_batch(*records, timestamps=[5] * len(records))
    payload = bytes(batch[HEADER:])
    cut = data.draw(st.integers(0, len(payload) - 1))
    rest = data.draw(st.binary(max_size=30))
    batch[HEADER:] = ENCODE[codec](payload[:cut] + rest)
    batch[22] |= codec
    behind = seal(make_batch((b"k", b"behind", []), timestamps=[5]), base_offset=len(records))
    found = fetch(seal(batch) + behind)
    assert found.next_offset == len(records) + 1
    *found_here, last = found.records
    assert last.value == b"behind"
    offsets = [record.offset for record in found_here]
    assert offsets == sorted(set(offsets))
    assert offsets[-1:] == [len(records) - 1]
    whole = sum(
        _bounds(bytearray(HEADER) + payload, n)[1] - HEADER <= cut for n in range(len(records))
    )
    assert written(found_here)[:whole] == [(k, v, list(h)) for k, v, h in records][:whole]


@given(RECORDS, st.integers(1, 4), st.binary(max_size=30))
def test_a_batch_that_cannot_be_decompressed_is_one_record_of_raw_bytes(
    records: list[Written], codec: int, garbage: bytes
) -> None:
    """A batch that cannot be decompressed is read as one record of its raw bytes, and the other
    batches are read.
    """
    batch = make_batch(*records, timestamps=[5] * len(records))
    batch[HEADER:] = b"\xff" * 6 + garbage  # no codec begins so
    batch[22] |= codec
    sealed = seal(batch)
    behind = seal(make_batch((b"k", b"behind", []), timestamps=[5]), base_offset=len(records))
    [raw, last] = fetch(sealed + behind).records
    assert last.value == b"behind"
    assert (raw.value, raw.offset, raw.headers) == (sealed, len(records) - 1, ())
    assert "cannot be decompressed" in raw.value.why


@pytest.mark.parametrize("codec", [5, 6, 7])
def test_a_codec_that_is_not_known_holds_the_partition(codec: int) -> None:
    """A batch of an unknown codec is unreadable, so its partition waits for a release that knows
    it.
    """
    batch = make_batch((b"k", b"v", []))
    batch[22] |= codec
    with pytest.raises(UnreadableBatchError, match=f"event/0/0: .*codec {codec} is unknown"):
        fetch(seal(batch))


def _bounds(batch: bytearray, number: int) -> tuple[int, int]:
    """Where the record's bytes are, behind their length; records here are short."""
    start = HEADER
    for _ in range(number + 1):
        length = shift = 0
        while True:
            byte = batch[start]
            length |= (byte & 0x7F) << shift
            start, shift = start + 1, shift + 7
            if byte < 0x80:
                break
        end = start + (length >> 1)
        start, before = end, start
    return before, end


@given(RECORDS, st.integers(0, 4), st.data())
def test_any_change_to_a_batch_ends_in_records_or_in_one_kind_of_error(
    records: list[Written], codec: int, data: st.DataObject
) -> None:
    """Whatever happens to a batch's bytes, the batches before it are read, and if it cannot be, no
    error but `UnreadableBatchError` is raised and the position stays at it.
    """
    batch = make_batch(*records, timestamps=[5] * len(records), compression=codec)
    batch[:8] = (1).to_bytes(8, "big")  # its first offset
    at = data.draw(st.integers(17, len(batch) - 1) | st.integers(HEADER, len(batch) - 1))
    put = data.draw(st.binary(min_size=1, max_size=4) | st.sampled_from(BAD_COUNTS))
    batch[at : at + data.draw(st.integers(0, len(put)))] = put
    good = make_batch((b"k", b"good", []), timestamps=[5])
    sealed = seal(batch) if data.draw(st.booleans()) else bytes(batch)
    found = fetch(seal(bytearray(good)) + sealed)
    assert found.records[0].value == b"good"
    if found.next_offset <= 1:
        with pytest.raises(UnreadableBatchError, match="event/0/1: "):
            fetch(sealed, offset=1)


@pytest.mark.parametrize("delta", [-1, -2, -(2**31)])
@pytest.mark.parametrize("attributes", [0x00, 0x10, 0x20, 0x30])
def test_a_batch_that_ends_before_it_begins_is_unreadable(delta: int, attributes: int) -> None:
    """A batch whose end lies before its begin is unreadable, a transaction's end included, since it
    would be read again and again.
    """
    marker = struct.pack(">hh", 0, 1)  # the key of a commit
    batch = make_batch((marker, b"v", []), timestamps=[5])
    batch[22] = attributes
    struct.pack_into(">i", batch, 23, delta)
    good = seal(make_batch((b"k", b"good", []), timestamps=[5]))
    sealed = seal(batch, base_offset=1)
    found = fetch(good + sealed)
    assert [record.value for record in found.records] == [b"good"]
    assert found.next_offset == 1
    with pytest.raises(UnreadableBatchError, match=r"event/0/1: .*ends before it begins"):
        fetch(sealed, offset=1)


@given(st.integers(0, 1), st.integers(0, 2), st.binary(max_size=20))
def test_records_of_old_formats_have_a_time(magic: int, codec: int, value: bytes) -> None:
    """Records of message formats before 2 are read with their time, and -1 stands for none."""
    builder = LegacyRecordBatchBuilder(magic, codec, 100_000)
    builder.append(0, -1, None, value)
    [record] = fetch(bytes(builder.build())).records
    assert (record.value, record.timestamp, record.headers) == (value, -1, ())


def test_a_parser_begins_at_the_batch_that_failed() -> None:
    """Our parser begins at the batch that failed: earlier ones are not parsed again, and a cut-off
    batch at the end is left.
    """
    batches = [seal(make_batch((None, b"%d" % n, [])), base_offset=n) for n in range(4)]
    ours = RecordBatches(b"".join(batches) + batches[0][:30], 2)
    assert ours.next_batch().base_offset == 2
    assert [record.value for record in ours.next_batch()] == [b"3"]
    assert not ours.has_next()
