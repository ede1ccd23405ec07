"""Polling: no record is skipped, and no partition holds back another."""

import asyncio
import zlib

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import TopicAuthorizationFailedError

from consumer.errors import HookstreamError
from consumer.records.tracker import OffsetTracker
from consumer.stream.poller import Poller
from support.fake_consumer import FakeConsumer, kafka_error
from support.fakes import FakeClock, FakeRecord

A, B, C = (TopicPartition("event", number) for number in range(3))


class Reader:
    """Who polls, and what arrived. A poll is never given up unless the test says so: `patience` is
    real seconds, and a busy machine may take any number of them for an answer.
    """

    def __init__(self, patience: float = 3600.0) -> None:
        self.clock = FakeClock()
        self.consumer = FakeConsumer()
        self.taken: dict[TopicPartition, list[int]] = {A: [], B: [], C: []}
        self.begin: dict[TopicPartition, int] = {A: 0, B: 0}
        """Where each partition begins that has a position."""
        self.out_of_range: list[TopicPartition] = []
        self.poller = Poller(
            self.consumer,
            self._next_offset,
            self._suspend,
            self.clock,
            backoff=0.0,
            poll_timeout=patience,
        )
        self.consumer.positions = {A: 0, B: 0}

    async def poll(self) -> None:
        """Poll once, and take what comes."""
        for tp, records in (await self.poller.poll()).items():
            self.taken[tp] += [record.offset for record in records]

    def _next_offset(self, tp: TopicPartition) -> int | None:
        return self.taken[tp][-1] + 1 if self.taken[tp] else self.begin.get(tp)

    def _suspend(self, tp: TopicPartition) -> None:
        self.out_of_range.append(tp)
        self.consumer.pause(tp)


def filled(reader: Reader) -> Reader:
    """`reader` with two partitions of three records."""
    for tp in (A, B):
        reader.consumer.append(tp, FakeRecord(), FakeRecord(), FakeRecord())
    return reader


@pytest.fixture
async def reader() -> Reader:
    """One with two partitions of three records."""
    return filled(Reader())


async def test_records_arrive_once_and_in_order(reader: Reader) -> None:
    """Records arrive once and in order."""
    await reader.poll()
    await reader.poll()
    assert reader.taken == {A: [0, 1, 2], B: [0, 1, 2], C: []}


@pytest.mark.parametrize(
    "error", [kafka_error(), asyncio.CancelledError(), UnicodeError(), MemoryError(), zlib.error()]
)
async def test_a_failed_poll_loses_no_record_of_the_others(
    reader: Reader, error: BaseException
) -> None:
    """After a failed poll the positions of all partitions are set back, so no record is lost."""
    reader.consumer.corrupt[B] = error
    await reader.poll()
    assert reader.taken[A] == []
    await reader.poll()
    assert reader.taken[A] == [0, 1, 2]
    del reader.consumer.corrupt[B]
    reader.clock.advance(60.0)
    await reader.poll()
    assert reader.taken == {A: [0, 1, 2], B: [0, 1, 2], C: []}


async def test_a_corrupt_partition_holds_back_no_other(reader: Reader) -> None:
    """A corrupt partition is paused and tried from time to time, while the others go on."""
    reader.consumer.corrupt[B] = kafka_error()
    for _ in range(3):  # all at once, one by one, and then record by record
        await reader.poll()
    assert B in reader.consumer.paused()
    for _ in range(3):
        reader.consumer.append(A, FakeRecord())
        await reader.poll()
    assert reader.taken[A] == [0, 1, 2, 3, 4, 5]


async def test_a_partition_that_stays_corrupt_fails_no_poll_of_the_others(reader: Reader) -> None:
    """A partition that stays corrupt is polled by itself twice a minute and named meanwhile, and
    goes on when it can.
    """
    reader.consumer.corrupt[B] = ValueError("no structure")
    for _ in range(3):
        await reader.poll()
    assert reader.poller.unreadable.partitions() == [("event", 1)]
    for _ in range(20):
        reader.clock.advance(10.0)
        reader.consumer.append(A, FakeRecord())
        expected = reader.consumer.logs[A][-1].offset
        await reader.poll()
        assert reader.taken[A][-1] == expected
        assert reader.poller.unreadable.partitions() == [("event", 1)]
    del reader.consumer.corrupt[B]
    reader.clock.advance(30.0)
    for _ in range(2):
        await reader.poll()
    assert reader.taken[B] == [0, 1, 2]
    assert reader.poller.unreadable.partitions() == []


async def test_the_only_partition_may_be_corrupt(reader: Reader) -> None:
    """If the only partition is corrupt, nothing but it is polled, and it goes on when it can."""
    reader.consumer.positions = {B: 0}
    reader.consumer.corrupt[B] = kafka_error()
    for _ in range(10):
        reader.clock.advance(20.0)
        await reader.poll()
    del reader.consumer.corrupt[B]
    reader.clock.advance(30.0)
    for _ in range(3):
        await reader.poll()
    assert reader.taken[B] == [0, 1, 2]


async def test_records_taken_before_are_not_taken_again(reader: Reader) -> None:
    """After a failed poll a partition goes on behind the last record that was handled."""
    await reader.poll()
    reader.consumer.append(A, FakeRecord())
    reader.consumer.append(B, FakeRecord())
    reader.consumer.corrupt[B] = kafka_error()
    await reader.poll()
    reader.consumer.corrupt.clear()
    await reader.poll()
    assert reader.taken == {A: [0, 1, 2, 3], B: [0, 1, 2, 3], C: []}


async def test_without_a_record_a_partition_goes_back_to_its_beginning(reader: Reader) -> None:
    """After a failed poll a partition without a handled record goes back to where its assignment
    began.
    """
    reader.begin[A] = reader.consumer.positions[A] = 2
    reader.consumer.corrupt[B] = kafka_error()
    await reader.poll()
    await reader.poll()
    assert reader.taken[A] == [2]


async def test_a_partition_without_a_position_is_left_alone(reader: Reader) -> None:
    """After an error a partition without a position gets none."""
    del reader.begin[B]
    reader.consumer.pause(B)
    reader.consumer.corrupt[A] = kafka_error()
    await reader.poll()
    reader.consumer.corrupt.clear()
    reader.consumer.positions[B] = 2
    await reader.poll()
    assert reader.consumer.positions[B] == 2
    assert reader.taken == {A: [0, 1, 2], B: [], C: []}


async def test_a_position_outside_the_log_is_told_and_holds_back_no_other(reader: Reader) -> None:
    """A position outside the log is reported, and no polled record is lost for it."""
    reader.consumer.starts[B] = 2
    for _ in range(3):
        await reader.poll()
    assert reader.out_of_range == [B]
    assert reader.taken == {A: [0, 1, 2], B: [], C: []}


async def test_a_position_outside_the_log_is_told_while_partitions_are_polled_one_by_one(
    reader: Reader,
) -> None:
    """A position outside the log does not count as damage while partitions are polled one by
    one.
    """
    reader.consumer.corrupt[A] = kafka_error()
    reader.consumer.starts[B] = 2
    for _ in range(3):
        await reader.poll()
    assert reader.out_of_range == [B]


async def test_a_rebalance_without_end_holds_up_no_stop() -> None:
    """A poll ends although a rebalance does not, and a later poll has all records."""
    reader = filled(Reader(patience=0.01))
    reader.consumer.steady.clear()
    await reader.poll()
    assert not any(reader.taken.values())
    reader.consumer.steady.set()
    while not reader.taken[A]:
        await reader.poll()
    assert reader.taken[A] == [0, 1, 2]


async def test_a_corrupt_partition_is_not_taken_for_one_that_waits(reader: Reader) -> None:
    """A corrupt partition's pause says nothing about the due time of its next record."""
    reader.consumer.corrupt[B] = kafka_error()
    for _ in range(3):
        await reader.poll()
    assert reader.poller.is_paused(B)
    assert reader.poller.paused_until(B, 0) is None


async def test_a_refusal_is_told_to_a_person(reader: Reader) -> None:
    """A refused poll is raised as an error with a message."""
    reader.consumer.corrupt[A] = TopicAuthorizationFailedError("event")
    with pytest.raises(HookstreamError, match="Kafka refuses"):
        await reader.poll()


async def test_a_paused_partition_waits_and_no_other_does(reader: Reader) -> None:
    """A paused partition waits until its time and goes on at its offset, and no other waits."""
    reader.poller.pause_until(A, reader.consumer.logs[A], 1, reader.clock.monotonic() + 10.0)
    await reader.poll()
    assert (reader.taken[A], reader.taken[B]) == ([], [0, 1, 2])
    assert reader.poller.is_paused(A)
    assert not reader.poller.is_paused(B)
    reader.clock.advance(10.0)
    assert not reader.poller.is_paused(A)
    await reader.poll()
    assert reader.taken[A] == [1, 2]


async def test_the_end_of_an_assignment_ends_its_pauses(reader: Reader) -> None:
    """The pauses of partitions end with their assignment."""
    reader.poller.pause_until(A, reader.consumer.logs[A], 1, reader.clock.monotonic() + 10.0)
    assert reader.poller.paused_until(A, 1) == reader.clock.monotonic() + 10.0
    reader.poller.forget(A)
    assert reader.poller.paused_until(A, 1) is None
    assert not reader.poller.is_paused(A)


async def test_markers_behind_the_last_record_are_passed(reader: Reader) -> None:
    """Transaction markers behind the last record are committed past, so the lag becomes 0."""
    partitions = {A: OffsetTracker("event", 0, 0), C: OffsetTracker("event", 2, 0)}
    partitions[A].skip(2)
    reader.consumer.positions[A] = 4
    await reader.poller.skip_gaps(partitions)
    assert partitions[A].committable == 4
    assert partitions[C].committable == 0  # not assigned any more


async def test_positions_count_for_nothing_after_a_failed_poll(reader: Reader) -> None:
    """After a failed poll the consumer's positions do not count, since they have passed records
    that were not handled.
    """
    reader.consumer.corrupt[B] = kafka_error()
    await reader.poll()
    partitions = {A: OffsetTracker("event", 0, 0)}
    assert reader.consumer.positions[A] == 3
    await reader.poller.skip_gaps(partitions)
    assert partitions[A].committable == 0


@pytest.mark.parametrize("singly", [False, True])
async def test_a_held_partition_is_not_polled(singly: bool) -> None:
    """A partition that is held keeps its records, and the others go on, also while partitions are
    polled one by one.
    """
    reader = filled(Reader())
    if singly:
        reader.poller._single_polls_until = reader.clock.monotonic() + 1.0
    assert list(await reader.poller.poll([A])) == [B]
    assert await reader.poller.poll([A, B]) == {}
    assert list(await reader.poller.poll()) == [A]
