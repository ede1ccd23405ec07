"""The records that are kept of paused partitions: in order, each once, within a bound."""

from collections.abc import Sequence

import pytest
from aiokafka import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from consumer.stream.lookahead import LookAhead
from support.fakes import FakeRecord

A, B = TopicPartition("retry", 0), TopicPartition("retry", 1)
CAPACITY = 100_000


def _records(number: int, size: int = 500) -> list[FakeRecord]:
    """Each takes some 1,000 bytes."""
    return [FakeRecord(value=b"x" * size, headers=[], offset=offset) for offset in range(number)]


def test_records_come_back_once_and_in_order() -> None:
    """Kept records come back once and in order, from the first one that is not due."""
    look_ahead, records = LookAhead(CAPACITY), _records(5)
    assert look_ahead.keep(A, records, 2) == 3
    assert A in look_ahead
    assert list(look_ahead.take(A)) == records[2:]
    assert A not in look_ahead
    assert list(look_ahead.take(A)) == []


def test_one_partition_keeps_half_of_what_fits() -> None:
    """One partition keeps half of the memory, and the other half is for later ones."""
    look_ahead = LookAhead(CAPACITY)
    assert look_ahead.keep(A, _records(500), 0) == pytest.approx(CAPACITY / 2 / 1_000, abs=1)
    assert look_ahead.keep(B, _records(500), 0) == pytest.approx(CAPACITY / 4 / 1_000, abs=1)


def test_partitions_that_go_on_come_to_equal_parts() -> None:
    """Partitions come to equal parts of the memory, whichever was first."""
    look_ahead, partitions = LookAhead(CAPACITY), [TopicPartition("retry", n) for n in range(9)]
    for _ in range(20):
        kept = [look_ahead.keep(tp, _records(500), 0) for tp in partitions]
    assert min(kept) == pytest.approx(10, abs=1)
    assert max(kept) == pytest.approx(10, abs=1)


def test_a_record_that_does_not_fit_is_not_kept() -> None:
    """A record that does not fit is not kept."""
    look_ahead = LookAhead(CAPACITY)
    assert look_ahead.keep(A, _records(1, size=CAPACITY), 0) == 0
    assert A not in look_ahead


@pytest.mark.parametrize("headers", [[("h", b"x" * CAPACITY)], [("h", None)] * 1_000])
def test_headers_count(headers: Sequence[tuple[str, bytes]]) -> None:
    """Headers count towards the memory of kept records."""
    look_ahead = LookAhead(CAPACITY)
    assert look_ahead.keep(A, [FakeRecord(value=None, headers=list(headers))], 0) == 0


@given(st.lists(st.tuples(st.sampled_from([A, B]), st.integers(0, 9), st.integers(0, 99_999))))
def test_no_memory_is_lost(steps: list[tuple[TopicPartition, int, int]]) -> None:
    """All memory is free again in the end, whatever was kept, kept again in part, and handled."""
    look_ahead = LookAhead(CAPACITY)
    for tp, number, size in steps:
        records: Sequence[FakeRecord] = _records(10, size)
        if number % 2:
            look_ahead.keep(tp, records, 0)
            records = look_ahead.take(tp)
        look_ahead.keep(tp, records, min(number, len(records)))
    look_ahead.clear()
    assert look_ahead._free == CAPACITY
    assert A not in look_ahead
