"""Batches of our builder, beside those of aiokafka's."""

from hypothesis import example, given
from hypothesis import strategies as st

from consumer.records.headers import OWN_HEADERS
from consumer.stream.batch_builder import BatchBuilder, BatchPacker, LogRecord, TimedBatch
from consumer.stream.partitioner import partition_of
from consumer.stream.record_batches import RecordBatches
from consumer.stream.replay_route import ReplayRecord
from support.raw_batches import HEADER, Written, make_batch

MOMENT = 1_800_000_000_123
MANY = 1_000_000
BYTES = st.none() | st.binary(max_size=200)
NAMES = st.text(st.characters(codec="utf-8"), max_size=80) | st.sampled_from(sorted(OWN_HEADERS))
HEADERS = st.lists(st.tuples(NAMES, BYTES), max_size=5)
RECORDS = st.lists(st.tuples(BYTES, BYTES, HEADERS), min_size=1, max_size=5)


def _message(record: Written) -> ReplayRecord:
    key, value, headers = record
    return ReplayRecord("topic", key, value, headers, "")


@given(RECORDS)
@example([(None, b"v", [])] * 70)  # offsets of two bytes
@example([(b"k", b"v" * size, [("h", b"x" * size)]) for size in (63, 64, 8_191, 8_192, MANY)])
@example([(b"k", b"v", [("h", None)] * 3_000)])
def test_a_batch_has_the_bytes_of_the_librarys(records: list[Written]) -> None:
    """A batch has the same bytes as one that aiokafka's builder makes of the same records."""
    builder = BatchBuilder(MANY * 10, MOMENT)
    assert all(builder.append(_message(record)) for record in records)
    expected = bytes(make_batch(*records, timestamps=[MOMENT] * len(records)))
    assert builder.size() == len(expected)
    assert builder.record_count() == len(records)
    assert builder._build() == builder._build() == expected


@given(RECORDS)
def test_a_full_batch_takes_no_record_but_the_first(records: list[Written]) -> None:
    """A batch takes its first record whatever its size, and each next one only if the batch stays
    within its limit.
    """
    sizes = [len(make_batch(*records[:count])) for count in range(1, len(records) + 1)]
    for limit in (HEADER, *sizes):
        builder = BatchBuilder(limit, MOMENT)
        took = sum(builder.append(_message(record)) for record in records[:1])
        for record in records[1:]:
            if not builder.append(_message(record)):
                break
            took += 1
        fitting = [count for count, size in enumerate(sizes, 1) if size <= limit]
        assert took == max([1, *fitting])
        kept = list(RecordBatches(builder._build(), 0).next_batch())
        assert [(r.key, r.value, list(r.headers)) for r in kept] == [
            (key, value, list(headers)) for key, value, headers in records[:took]
        ]


TIMED = st.lists(
    st.tuples(st.binary(max_size=80), st.binary(max_size=300), st.integers(-5_000, 5_000)),
    min_size=1,
    max_size=8,
)


@given(TIMED, st.sampled_from([(-1, -1, -1), (7, 3, 41)]), st.integers(HEADER, 2_000))
def test_a_timed_batch_is_read_with_its_times(
    records: list[tuple[bytes, bytes, int]], producer: tuple[int, int, int], limit: int
) -> None:
    """A batch of records with times of their own has their keys, values and times; an earlier time
    than the first one's counts as this; and the batch stays within its limit, but for one record.
    """
    batch = TimedBatch(limit, MOMENT)
    took = [
        (key, value, max(MOMENT, MOMENT + late))
        for key, value, late in records
        if batch.append(LogRecord("topic", key, value, MOMENT + late))
    ]
    raw = batch.build(*producer)
    assert len(took) == batch.count == max(batch.count, 1)
    assert len(raw) <= limit or batch.count == 1
    read = RecordBatches(raw, 0).next_batch()
    assert read.validate_crc()
    assert read.is_transactional == (producer[0] >= 0)
    assert [(r.key, r.value, r.timestamp, list(r.headers)) for r in read] == [
        (key, value, at, []) for key, value, at in took
    ]


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.binary(max_size=3), st.binary(max_size=90))),
    st.integers(1, 5),
    st.integers(HEADER, 400),
)
def test_a_packer_keeps_the_order_of_each_key(
    records: list[tuple[str, bytes, bytes]], partitions: int, limit: int
) -> None:
    """Records are packed for the partition of their key as Kafka's clients choose it, in their
    order, and each is in one batch.
    """
    packer = BatchPacker(limit, {"a": partitions, "b": 1})
    wanted = [LogRecord(topic, key, value, MOMENT) for topic, key, value in records]
    for start in range(0, len(wanted), 3):
        packer.add(wanted, start, start + 3)
    for (topic, partition), batches in packer.batches.items():
        assert all(batches)
        found = [
            (r.key, r.value)
            for batch in batches
            for r in RecordBatches(batch.build(-1, -1, -1), 0).next_batch()
        ]
        count = partitions if topic == "a" else 1
        assert found == [
            (r.key, r.value)
            for r in wanted
            if r.topic == topic and partition_of(r.key, count) == partition
        ]
    assert sum(b.count for batches in packer.batches.values() for b in batches) == len(wanted)
