"""Taking records in, and committing what is settled, over rebalances and stops."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, KafkaError

from consumer.events.decode import Record
from consumer.stream.intake import DRAIN_BUDGET, PARK_BUDGET, Intake
from consumer.stream.lanes import Lane
from consumer.stream.passport import Passport
from consumer.stream.tracker import Partition, Pending
from support.fake_consumer import FakeConsumer
from support.fakes import FakeClock, FakeRecord
from support.waiting import wait_until

A, B = TopicPartition("event", 0), TopicPartition("event", 1)
RETRY = TopicPartition("hookstream.retry.10s", 0)
LANES = {RETRY.topic: Lane(RETRY.topic, 10.0)}


class FakeHandler:
    """A Handler that settles when the test says so."""

    def __init__(self) -> None:
        self.full = False
        self.taken: list[tuple[str, int, int]] = []
        """Topic, partition and offset of each record."""
        self.pending: list[Pending] = []
        self.shares: list[Mapping[str, tuple[int, int]]] = []
        self.bugs: set[int] = set()
        """Offsets at which `take` raises."""
        self.fills_at = 0
        """How many records make it full; 0: no number does."""
        self.parks_at_once = True
        self.parked: list[Pending] = []

    async def room(self) -> None:
        """See `Handler.room`."""
        await asyncio.sleep(0)

    def take(self, record: Record, partition: Partition) -> None:
        """See `Handler.take`."""
        if record.offset in self.bugs:
            raise RuntimeError("a bug")
        self.taken.append((record.topic, record.partition, record.offset))
        self.pending.append(partition.receive(record.offset, record, 1, 0.0))
        if len(self.taken) == self.fills_at:
            self.full = True

    def assigned(self, counts: Mapping[str, tuple[int, int]]) -> None:
        """See `Handler.assigned`."""
        self.shares.append(counts)

    def park(self, which: Callable[[Pending], bool]) -> None:
        """See `Handler.park`."""
        leaving = [pending for pending in self.pending if which(pending)]
        self.parked += leaving
        self.pending = [pending for pending in self.pending if pending not in leaving]
        if self.parks_at_once:
            for pending in leaving:
                pending.settle_one()

    def settle(self, count: int = 1) -> None:
        """The oldest deliveries end."""
        for _ in range(count):
            self.pending.pop(0).settle_one()


class Member:
    """An intake on a fake consumer."""

    def __init__(self, commit_timeout: float = 60.0) -> None:
        self.clock = FakeClock()
        self.consumer = FakeConsumer()
        self.handler = FakeHandler()
        self.intake = Intake(
            self.consumer,
            self.handler,
            topics=[A.topic, RETRY.topic],
            lanes=LANES,
            clock=self.clock,
            commit_timeout=commit_timeout,
        )

    @asynccontextmanager
    async def running(self, *places: TopicPartition) -> AsyncIterator[None]:
        """Join the group with `places`, take records meanwhile, and stop."""
        await self.intake.start()
        await self.consumer.rebalance(*places)
        task = asyncio.create_task(self.intake.run())
        try:
            yield
        finally:
            self.intake.stop_taking()
            await task

    async def takes(self, count: int) -> None:
        """Wait until so many records were taken."""
        await wait_until(lambda: len(self.handler.taken) >= count, f"{count} records")
        assert len(self.handler.taken) == count

    async def idles(self) -> None:
        """Give intake every chance to go on, while no poll can end."""
        for _ in range(20):
            await asyncio.sleep(0)

    async def rounds(self, count: int = 3) -> None:
        """Let intake go round a few times."""
        goal = self.consumer.polls + count
        await wait_until(lambda: self.consumer.polls >= goal, "a few polls")


@pytest.fixture
async def member() -> Member:
    """One with two partitions of two records."""
    member = Member()
    for place in (A, B):
        member.consumer.append(place, FakeRecord(), FakeRecord())
    return member


async def test_the_settled_prefix_is_committed(member: Member) -> None:
    """Of each partition by itself; nothing is committed that has not moved."""
    async with member.running(A, B):
        await member.takes(4)
        await member.intake.commit()
        assert member.consumer.offsets == {A: 0, B: 0}
        member.handler.settle(1)
        await member.intake.commit()
        await member.intake.commit()
    assert member.consumer.commits == [{A: 0, B: 0}, {A: 1}]
    assert member.intake.unsettled == 3


async def test_joined_is_told_and_the_share_with_it(member: Member) -> None:
    """Readiness and rate limits rest on them."""
    assert not member.intake.joined
    async with member.running(A):
        assert member.intake.joined
    assert member.handler.shares == [{A.topic: (1, 2), RETRY.topic: (0, 0)}]


async def test_a_full_handler_pauses_intake(member: Member) -> None:
    """Memory is bounded: nothing is taken while there is no room (invariant 4)."""
    member.handler.full = True
    async with member.running(A, B):
        await member.idles()
        assert (member.consumer.polls, member.handler.taken) == (0, [])
        member.handler.full = False
        await member.takes(4)


async def test_a_record_that_meets_a_bug_is_never_committed_past(
    member: Member, caplog: pytest.LogCaptureFixture
) -> None:
    """The others go on, the bug is told with its traceback, and nothing is lost."""
    member.handler.bugs = {0}
    async with member.running(A):
        await member.takes(1)
        member.handler.settle(1)
        await member.intake.commit()
    assert member.consumer.offsets == {A: 0}
    assert member.intake.unsettled == 1
    assert caplog.records[-1].exc_info


async def test_a_failed_commit_is_tried_again(member: Member) -> None:
    """Whatever the reason; what has moved meanwhile goes with it."""
    async with member.running(A):
        await member.takes(2)
        for error in (CommitFailedError("rebalance"), KafkaError("away")):
            member.consumer.commit_error = error
            await member.intake.commit()
        member.consumer.commit_error = None
        member.handler.settle(2)
        await member.intake.commit()
    assert member.consumer.commits == [{A: 0}, {A: 0}, {A: 2}]
    assert member.consumer.offsets == {A: 2}


async def test_commits_are_one_at_a_time() -> None:
    """Two of them could arrive in the other order."""
    member = Member()
    member.consumer.append(A, FakeRecord())
    async with member.running(A):
        await member.takes(1)
        member.consumer.commits_may_end.clear()
        first = asyncio.create_task(member.intake.commit())
        await wait_until(lambda: member.consumer.committing, "a commit")
        member.handler.settle(1)
        second = asyncio.create_task(member.intake.commit())
        await asyncio.sleep(0)
        member.consumer.commits_may_end.set()
        await asyncio.gather(first, second)
    assert member.consumer.most_committing == 1
    assert member.consumer.commits == [{A: 0}, {A: 1}]


async def test_a_commit_that_hangs_is_given_up() -> None:
    """Aiokafka would try for ever; a revocation must end."""
    member = Member(commit_timeout=0.01)
    member.consumer.append(A, FakeRecord())
    async with member.running(A):
        await member.takes(1)
        member.consumer.commits_may_end.clear()
        await member.intake.commit()
        assert member.consumer.committing == 0
        member.consumer.commits_may_end.set()
        await member.intake.commit()
    assert member.consumer.offsets == {A: 0}


async def test_a_revocation_waits_for_what_is_under_way(member: Member) -> None:
    """It is committed before the partition goes, and nothing is parked."""
    async with member.running(A):
        await member.takes(2)
        revocation = asyncio.create_task(member.consumer.rebalance())
        await asyncio.sleep(0)
        member.handler.settle(2)
        await revocation
    assert member.consumer.offsets == {A: 2}
    assert member.handler.parked == []


async def test_a_revocation_parks_what_does_not_end_in_time(member: Member) -> None:
    """The next owner does not send it again, and need not wait for it."""
    async with member.running(A):
        await member.takes(2)
        leaving = list(member.handler.pending)
        revocation = asyncio.create_task(member.consumer.rebalance())
        await time_passes(member, DRAIN_BUDGET, revocation)
        await revocation
    assert member.handler.parked == leaving
    assert member.consumer.offsets == {A: 2}


async def test_a_revocation_ends_though_nothing_can_be_parked(member: Member) -> None:
    """What is not settled is not committed: the next owner does it again."""
    member.handler.parks_at_once = False
    async with member.running(A):
        await member.takes(2)
        revocation = asyncio.create_task(member.consumer.rebalance())
        await time_passes(member, DRAIN_BUDGET + PARK_BUDGET, revocation)
        await revocation
    assert member.consumer.offsets == {A: 0}
    assert all(pending.revoked for pending in member.handler.parked)


async def time_passes(member: Member, budget: float, task: asyncio.Task[None]) -> None:
    """Let time pass until the revocation ends, which must be within its budget."""
    begin = member.clock.monotonic()

    def step() -> bool:
        member.clock.advance(0.25)
        return task.done()

    await wait_until(step, "the revocation")
    assert member.clock.monotonic() - begin <= budget + 2.0


async def test_nothing_is_committed_for_a_partition_that_left(member: Member) -> None:
    """Late settlements reach the old assignment only; what stays goes on (invariant 1)."""
    member.handler.parks_at_once = False
    async with member.running(A, B):
        await member.takes(4)
        revocation = asyncio.create_task(member.consumer.rebalance(B))
        await time_passes(member, DRAIN_BUDGET + PARK_BUDGET, revocation)
        old = list(member.handler.parked)
        await member.takes(6)
        member.consumer.commits.clear()
        for pending in old:
            pending.settle_one()
        await member.intake.commit()
        assert member.consumer.commits == [{B: 0}]
        member.handler.settle(2)
        await member.intake.commit()
    assert member.consumer.offsets == {A: 0, B: 2}


async def test_records_polled_before_a_rebalance_are_not_taken_after_it(member: Member) -> None:
    """They belong to another assignment, perhaps to another member."""
    async with member.running(A, B):
        await member.takes(4)
        member.handler.settle(4)
        member.consumer.append(A, FakeRecord())
        member.consumer.append(B, FakeRecord())
        member.handler.fills_at = 5  # at A's record, so that B's waits in intake's hand
        await member.takes(5)
        member.handler.settle(1)
        await member.consumer.rebalance(A)
        member.handler.full = False
        await member.rounds()
    assert member.handler.taken[4:] == [("event", 0, 2)]
    assert member.consumer.offsets == {A: 3, B: 2}


async def test_a_poll_that_outlasts_a_rebalance_passes_over_no_record(member: Member) -> None:
    """What it returns is of the new assignment, whose position has moved past it."""
    async with member.running(A):
        await member.takes(2)
        member.handler.settle(2)
        member.consumer.steady.clear()
        await wait_until(lambda: member.consumer.polls_held, "a poll to begin")
        member.consumer.append(A, FakeRecord())
        await member.consumer.rebalance(A)
        await member.takes(3)
    assert member.handler.taken == [("event", 0, 0), ("event", 0, 1), ("event", 0, 2)]


async def test_nothing_is_taken_while_partitions_are_given_up(member: Member) -> None:
    """A partition whose first record waits in intake's hand would outlive its assignment, and
    every later commit would be refused for it.
    """
    member.handler.fills_at = 1
    async with member.running(A, B):
        await member.takes(1)
        giving_up = asyncio.create_task(member.consumer.rebalance(A))
        await asyncio.sleep(0)  # it waits for the one to be settled
        member.handler.full = False
        await member.idles()
        member.handler.settle(len(member.handler.pending))
        await asyncio.wait_for(giving_up, 10)
        await member.takes(2)
        member.handler.settle(1)
        await member.intake.commit()
    assert member.handler.taken == [("event", 0, 0), ("event", 0, 1)]
    assert member.consumer.offsets == {A: 2}
    assert member.intake._partitions.keys() == {A}


async def test_records_that_a_revocation_made_void_are_not_committed_past(member: Member) -> None:
    """The consumer's position has passed them, and their partition is still being drained."""
    async with member.running(A, B):
        await member.takes(4)
        member.handler.settle(3)
        member.handler.fills_at = 5
        member.consumer.append(A, FakeRecord(), FakeRecord())
        member.consumer.append(B, FakeRecord())
        await member.takes(5)  # of one poll with all three records
        revocation = asyncio.create_task(member.consumer.rebalance())
        await asyncio.sleep(0)
        member.handler.full = False
        await member.idles()
        member.handler.settle(len(member.handler.pending))
        await asyncio.wait_for(revocation, 10)
    taken = Counter(number for _, number, _ in member.handler.taken)
    assert member.consumer.offsets == {A: taken[0], B: taken[1]}


async def test_a_failed_poll_loses_nothing_and_commits_nothing_lost(member: Member) -> None:
    """The position of a partition whose records vanished is no settled prefix."""
    member.consumer.corrupt[B] = KafkaError("corrupt")
    async with member.running(A, B):
        await wait_until(lambda: member.consumer.positions[A] == 2, "the poll that fails")
        await member.intake.commit()
        assert member.consumer.offsets.get(A, 0) == 0
        member.consumer.corrupt.clear()
        await member.takes(4)


def parked_record(member: Member, due_in: float) -> FakeRecord:
    """A record of a retry lane, parked now."""
    not_before = member.clock.now() + due_in
    passport = Passport("503", "event", 0, 0, 0, "event", not_before=not_before)
    timestamp = int(member.clock.now() * 1000)
    return FakeRecord(timestamp=timestamp, headers=passport.headers())


async def test_a_record_that_is_not_due_holds_back_its_lane_only(member: Member) -> None:
    """The lane goes on when it is, in order; the sources do not wait (section 6 of the design)."""
    member.consumer.append(RETRY, parked_record(member, 10.0), parked_record(member, 10.5))
    async with member.running(RETRY, A):
        await member.takes(2)
        await member.rounds()
        assert member.consumer.paused() == {RETRY}
        member.clock.advance(9.9)
        await member.rounds()
        assert len(member.handler.taken) == 2
        member.clock.advance(0.1)
        await member.takes(3)
        await member.rounds()
        member.clock.advance(0.5)
        await member.takes(4)
    assert member.handler.taken[2:] == [(RETRY.topic, 0, 0), (RETRY.topic, 0, 1)]


async def test_a_clock_that_is_set_moves_no_due_time(member: Member) -> None:
    """It is measured from the first look on, by the monotonic clock."""
    member.consumer.append(RETRY, parked_record(member, 10.0))
    async with member.running(RETRY):
        await wait_until(member.consumer.paused, "the hold")
        member.clock.set_back(86_400.0)
        member.clock.advance(10.0)
        await member.takes(1)


async def test_what_was_not_due_is_not_committed_past(member: Member) -> None:
    """It is neither settled nor received."""
    first, second = parked_record(member, -1.0), parked_record(member, 10.0)
    member.consumer.append(RETRY, first, second)
    async with member.running(RETRY):
        await member.takes(1)
        member.handler.settle(1)
        await member.rounds()
        await member.intake.commit()
    assert member.consumer.offsets == {RETRY: 1}


async def test_a_foreign_record_on_a_lane_is_taken_at_once(member: Member) -> None:
    """It says nothing about a time; the handler buries it."""
    member.consumer.append(RETRY, FakeRecord(timestamp=int(member.clock.now() * 1000)))
    async with member.running(RETRY):
        await member.takes(1)


async def test_a_lane_that_comes_back_is_looked_at_anew(member: Member) -> None:
    """Pauses end with their assignment."""
    member.consumer.append(RETRY, parked_record(member, 10.0))
    async with member.running(RETRY):
        await wait_until(member.consumer.paused, "the hold")
        await member.consumer.rebalance(RETRY)
        await wait_until(member.consumer.paused, "the hold again")
        member.clock.advance(10.0)
        await member.takes(1)


async def test_a_stop_ends_the_taking_at_once(member: Member) -> None:
    """In the middle of a batch too; what was not taken is not committed past."""
    member.handler.fills_at = 1
    async with member.running(A):
        await member.takes(1)
    member.handler.settle(1)
    await member.intake.close()
    assert member.handler.taken == [("event", 0, 0)]
    assert member.consumer.offsets == {A: 1}
    assert member.consumer.stopped


async def test_the_age_of_the_oldest_is_known(member: Member) -> None:
    """Health and an alert rest on it."""
    assert member.intake.oldest_unsettled() == 0.0
    async with member.running(A):
        await member.takes(2)
        member.handler.pending[0].received_at = member.clock.monotonic()
        member.clock.advance(7.0)
        assert member.intake.oldest_unsettled() == 7.0
        assert await member.intake.settled(0.0) is False
        member.handler.settle(2)
        assert member.intake.oldest_unsettled() == 0.0
        assert await member.intake.settled(0.0) is True
