"""Batches of our builder, beside those of aiokafka's."""

from hypothesis import example, given
from hypothesis import strategies as st

from consumer.records.headers import OWN_HEADERS
from consumer.stream.batch_builder import BatchBuilder
from consumer.stream.record_batches import RecordBatches
from consumer.stream.replay import ReplayRecord
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
