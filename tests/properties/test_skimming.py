"""Batches that are left out by their bytes hold nothing that is wanted."""

import struct

from aiokafka import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from consumer.stream import client  # noqa: F401  # it makes aiokafka read odd records
from consumer.stream.partition_log import Fetched
from consumer.stream.skimming import Skim
from support.raw_batches import make_batch

TP = TopicPartition("t", 0)
T0 = 1_790_000_000_000
NONE, GZIP = 0, 1
VALUES = st.sampled_from([b"", b"aaa", b"axb", b"x"]) | st.binary(max_size=8)
BATCHES = st.lists(
    st.tuples(st.lists(VALUES, min_size=1, max_size=4), st.sampled_from([NONE, NONE, GZIP])),
    max_size=6,
)


def _bytes(batches: list[tuple[list[bytes], int]]) -> bytes:
    """The answer of a broker; each offset's timestamp is a second later than the one before."""
    data, offset = b"", 0
    for values, codec in batches:
        timestamps = [T0 + 1000 * (offset + n) for n in range(len(values))]
        records = [(b"k", value, ()) for value in values]
        batch = make_batch(*records, timestamps=timestamps, compression=codec)
        struct.pack_into(">q", batch, 0, offset)
        data += bytes(batch)
        offset += len(values)
    return data


@given(batches=BATCHES, low=st.integers(0, 8), length=st.integers(0, 12))
def test_what_is_left_out_is_not_wanted(
    batches: list[tuple[list[bytes], int]], low: int, length: int
) -> None:
    """Between two offsets a fetch that leaves out batches by their bytes has every wanted record,
    and the others are counted; batches that are compressed, or reach beyond, are read as always.
    """
    data, high = _bytes(batches), low + length
    whole = Fetched(TP, low, 10**6, [], data)
    plain = [(one.offset, one.value) for one in whole]
    counted, oldest = 0, list[int]()

    def passed_over(records: int, timestamp: int) -> None:
        nonlocal counted
        counted += records
        oldest.append(timestamp)

    skim = Skim(lambda content: b"x" in content, passed_over, low, high)
    fetched = Fetched(TP, low, 10**6, [], data, skim=skim)
    found = [(one.offset, one.value) for one in fetched]
    assert [one for one in found if b"x" in (one[1] or b"")] == [
        one for one in plain if b"x" in (one[1] or b"")
    ]
    assert set(found) <= set(plain)
    left_out = [one for one in plain if one not in found]
    assert (len(left_out), all(low <= at < high for at, _ in left_out)) == (counted, True)
    assert set(oldest) <= {T0 + 1000 * at for at, _ in left_out}
    assert fetched.next_offset == whole.next_offset
