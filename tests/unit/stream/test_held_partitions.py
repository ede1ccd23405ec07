"""Paused partitions: each record is handled once it is due, and read once."""

import asyncio
from collections.abc import Sequence
from unittest.mock import patch

from aiokafka import TopicPartition
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.records.tracker import OffsetTracker
from consumer.stream.lookahead import LookAhead
from consumer.stream.poller import POLL_SECONDS, REFETCH_SECONDS, Poller
from support.fake_consumer import FakeConsumer, kafka_error
from support.fakes import FakeClock, FakeRecord

A, B = TopicPartition("retry", 0), TopicPartition("retry", 1)


class Waiter:
    """Takes records when they are due and has their partition held until then, as intake does."""

    def __init__(self, *dues: float, capacity: int = 100_000) -> None:
        """`dues`: for each record of `A`, seconds from now."""
        self.clock = FakeClock()
        self.consumer = FakeConsumer()
        self.consumer.append(A, *(FakeRecord(headers=[], value=b"x" * 500) for _ in dues))
        self.consumer.append(B, FakeRecord())
        self.consumer.positions = {A: 0, B: 0}
        self.poller = Poller(
            self.consumer, self._next_offset, self.consumer.pause, self.clock, backoff=0.0
        )
        self.poller._look_ahead = LookAhead(capacity)
        self.dues = [self.clock.monotonic() + due for due in dues]
        self.taken: dict[TopicPartition, list[int]] = {A: [], B: []}

    async def round(self) -> None:
        """Poll once, and take what is due."""
        for tp, records in (await self.poller.poll()).items():
            self._take(tp, records)

    def _take(self, tp: TopicPartition, records: Sequence[FakeRecord]) -> None:
        for index, record in enumerate(records):
            if tp == A and (due := self.dues[record.offset]) > self.clock.monotonic():
                self.poller.pause_until(A, records, index, due)
                return
            self.taken[tp].append(record.offset)

    def _next_offset(self, tp: TopicPartition) -> int:
        return self.taken[tp][-1] + 1 if self.taken[tp] else 0


async def test_records_that_are_due_one_after_the_other_are_read_once() -> None:
    """Records that are due one after the other are fetched once and kept in memory until then."""
    waiter = Waiter(1.0, 1.1, 1.2, 9.0)
    for _ in range(13):
        await waiter.round()
        waiter.clock.advance(0.1)
    assert waiter.taken == {A: [0, 1, 2], B: [0]}
    assert waiter.consumer.paused() == {A}
    assert set(waiter.consumer.given.values()) == {1}


async def test_the_partition_is_read_on_when_all_that_was_kept_is_taken() -> None:
    """A paused partition is resumed when all records that were kept are handled."""
    waiter = Waiter(1.0, 1.0)
    await waiter.round()
    waiter.consumer.append(A, FakeRecord(headers=[]))
    waiter.dues.append(0.0)
    waiter.clock.advance(1.0)
    await waiter.round()
    assert waiter.taken[A] == [0, 1]
    await waiter.round()
    assert waiter.taken[A] == [0, 1, 2]


async def test_what_does_not_fit_is_read_again_from_its_first_record_on() -> None:
    """Records that do not fit in memory are fetched again from the first one on, and none is
    skipped.
    """
    waiter = Waiter(*([1.0] * 10), capacity=6_000)  # takes three of a thousand bytes
    await waiter.round()
    assert waiter.consumer.positions[A] == 3
    waiter.clock.advance(1.0)
    for _ in range(2):
        await waiter.round()
    assert waiter.taken[A] == list(range(10))


async def test_a_record_that_fits_nowhere_is_read_again_when_it_is_due() -> None:
    """A record that does not fit is fetched again when it is due, every half second at most."""
    waiter = Waiter(1.0, 1.1, 5.0, capacity=100)
    await waiter.round()
    assert waiter.consumer.positions[A] == 0
    for _ in range(20):
        waiter.clock.advance(0.1)
        await waiter.round()
    assert waiter.taken[A] == [0, 1]
    assert waiter.consumer.given[A, 1] <= 1 + 2.0 / REFETCH_SECONDS


async def test_a_failed_poll_voids_what_was_kept() -> None:
    """A failed poll discards the kept records, which are read again and handled once."""
    waiter = Waiter(0.0, 1.0, 1.0)
    await waiter.round()
    waiter.consumer.corrupt[B] = kafka_error()
    await waiter.round()
    waiter.consumer.corrupt.clear()
    waiter.clock.advance(1.0)
    for _ in range(3):
        await waiter.round()
    assert waiter.taken[A] == [0, 1, 2]


async def test_the_end_of_an_assignment_voids_what_was_kept() -> None:
    """The end of an assignment discards the kept records, which the next owner reads."""
    waiter = Waiter(0.0, 1.0)
    await waiter.round()
    waiter.poller.forget(A)
    waiter.consumer.resume(A)
    waiter.consumer.seek(A, 1)
    waiter.clock.advance(1.0)
    await waiter.round()
    assert waiter.taken[A] == [0, 1]
    assert waiter.consumer.given[A, 1] == 2


async def test_no_commit_passes_what_is_kept() -> None:
    """No commit passes a record that is only kept."""
    waiter = Waiter(0.0, 1.0, 1.0)
    await waiter.round()
    assert waiter.consumer.positions[A] == 3
    partition = OffsetTracker(A.topic, A.partition, 0)
    partition.skip(0)
    await waiter.poller.skip_gaps({A: partition})
    assert partition.committable == 1


@settings(max_examples=50)
@given(
    dues=st.lists(st.floats(0.0, 5.0), max_size=30),
    capacity=st.sampled_from([100, 3_000, 8_000, 100_000]),
    failures=st.sets(st.integers(0, 40)),
    losses=st.sets(st.integers(0, 40)),
)
def test_each_record_is_taken_once_in_order_and_not_early(
    dues: list[float], capacity: int, failures: set[int], losses: set[int]
) -> None:
    """Each record is handled once, in order and not early, whatever the due times, the memory,
    failed polls and lost positions are.
    """
    with patch("asyncio.sleep", _no_time_passes):
        asyncio.run(_goes_through(dues, capacity, failures, losses))


async def _goes_through(
    dues: list[float], capacity: int, failures: set[int], losses: set[int]
) -> None:
    waiter = Waiter(*dues, capacity=capacity)
    began = waiter.clock.monotonic()
    for number in range(100):
        if number in losses:
            waiter.poller.invalidate_positions()
        if number in failures:
            waiter.consumer.corrupt[B] = kafka_error()
        before = len(waiter.taken[A])
        await waiter.round()
        now = waiter.clock.monotonic() - began
        assert all(dues[offset] <= now + 1e-6 for offset in waiter.taken[A][before:])
        waiter.consumer.corrupt.clear()
        waiter.clock.advance(POLL_SECONDS if number < 50 else 1.0)
    assert waiter.taken == {A: list(range(len(dues))), B: [0]}


async def _no_time_passes(_seconds: float) -> None:
    pass
