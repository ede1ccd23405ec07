"""No record is lost or settled wrongly by a rebalance or a failed poll (invariant 1)."""

import asyncio
from collections import Counter

import pytest
from aiokafka.errors import KafkaError

from consumer.stream.intake import DEFER_BUDGET_SECONDS, DRAIN_BUDGET_SECONDS
from support.fakes import FakeRecord
from support.member import A, B, Member
from support.waiting import wait_until


@pytest.fixture
async def member() -> Member:
    """One with two partitions of two records."""
    member = Member()
    for tp in (A, B):
        member.consumer.append(tp, FakeRecord(), FakeRecord())
    return member


async def test_a_revocation_waits_for_what_is_under_way(member: Member) -> None:
    """A revocation waits for deliveries under way and commits them, and nothing is deferred."""
    async with member.running(A):
        await member.takes(2)
        revocation = asyncio.create_task(member.consumer.rebalance())
        await asyncio.sleep(0)
        member.handler.settle(2)
        await revocation
    assert member.consumer.offsets == {A: 2}
    assert member.handler.deferred == []


async def test_a_revocation_defers_what_does_not_end_in_time(member: Member) -> None:
    """A revocation defers deliveries that do not end in time, so the next owner does not send them
    again.
    """
    async with member.running(A):
        await member.takes(2)
        leaving = list(member.handler.pending)
        revocation = asyncio.create_task(member.consumer.rebalance())
        await time_passes(member, DRAIN_BUDGET_SECONDS, revocation)
        await revocation
    assert member.handler.deferred == leaving
    assert member.consumer.offsets == {A: 2}


async def test_a_revocation_ends_though_nothing_can_be_deferred(member: Member) -> None:
    """A revocation ends even if nothing can be deferred, and what is not settled is not
    committed.
    """
    member.handler.settles_deferred = False
    async with member.running(A):
        await member.takes(2)
        revocation = asyncio.create_task(member.consumer.rebalance())
        await time_passes(member, DRAIN_BUDGET_SECONDS + DEFER_BUDGET_SECONDS, revocation)
        await revocation
    assert member.consumer.offsets == {A: 0}
    assert all(pending.revoked for pending in member.handler.deferred)


async def time_passes(member: Member, budget: float, task: asyncio.Task[None]) -> None:
    """Let time pass until the revocation ends, which must be within its budget."""
    begin = member.clock.monotonic()

    def step() -> bool:
        member.clock.advance(0.25)
        return task.done()

    await wait_until(step, "the revocation")
    assert member.clock.monotonic() - begin <= budget + 2.0


async def test_an_expelled_member_gives_nothing_back(member: Member) -> None:
    """An expelled member neither defers nor commits what is under way, since its partitions are
    others' already.
    """
    async with member.running(A):
        await member.takes(2)
        old = list(member.handler.pending)
        member.handler.settle(1)
        member.consumer._coordinator.generation = -1
        member.consumer.commits.clear()
        await asyncio.wait_for(member.consumer.rebalance(), 10)
        assert member.clock.monotonic() == 1_000.0
    assert member.handler.deferred == []
    assert member.consumer.commits == []
    assert all(pending.revoked for pending in old)


async def test_nothing_is_committed_for_a_partition_that_left(member: Member) -> None:
    """Late settlements change nothing for a partition that left (invariant 1)."""
    member.handler.settles_deferred = False
    async with member.running(A, B):
        await member.takes(4)
        revocation = asyncio.create_task(member.consumer.rebalance(B))
        await time_passes(member, DRAIN_BUDGET_SECONDS + DEFER_BUDGET_SECONDS, revocation)
        old = list(member.handler.deferred)
        await member.takes(6)
        member.consumer.commits.clear()
        for pending in old:
            pending.ack_one()
        await member.intake.commit()
        assert member.consumer.commits == []
        member.handler.settle(2)
        await member.intake.commit()
    assert member.consumer.offsets == {A: 0, B: 2}


async def test_records_polled_before_a_rebalance_are_not_taken_after_it(member: Member) -> None:
    """Records that were polled before a rebalance are not handled after it."""
    async with member.running(A, B):
        await member.takes(4)
        member.handler.settle(4)
        member.consumer.append(A, FakeRecord())
        member.consumer.append(B, FakeRecord())
        member.handler.fills_at = 5  # at A's record, so that B's waits in intake's hand
        await member.takes(5)
        member.handler.settle(1)
        await member.consumer.rebalance(A)
        member.handler.at_capacity = False
        await member.rounds()
    assert member.handler.taken[4:] == [("event", 0, 2)]
    assert member.consumer.offsets == {A: 3, B: 2}


async def test_a_poll_that_outlasts_a_rebalance_passes_over_no_record(member: Member) -> None:
    """A poll that outlasts a rebalance skips no record of the new assignment."""
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
    """No record is handled while partitions are revoked, so none outlives its assignment."""
    member.handler.fills_at = 1
    async with member.running(A, B):
        await member.takes(1)
        giving_up = asyncio.create_task(member.consumer.rebalance(A))
        await asyncio.sleep(0)  # it waits for the one to be settled
        member.handler.at_capacity = False
        await member.idles()
        member.handler.settle(len(member.handler.pending))
        await asyncio.wait_for(giving_up, 10)
        await member.takes(2)
        member.handler.settle(1)
        await member.intake.commit()
    assert member.handler.taken == [("event", 0, 0), ("event", 0, 1)]
    assert member.consumer.offsets == {A: 2, B: 0}
    assert member.intake._assignment.trackers.keys() == {A}


async def test_records_that_a_revocation_made_void_are_not_committed_past(member: Member) -> None:
    """Records that a revocation discarded are not committed past."""
    async with member.running(A, B):
        await member.takes(4)
        member.handler.settle(3)
        member.handler.fills_at = 5
        member.consumer.append(A, FakeRecord(), FakeRecord())
        member.consumer.append(B, FakeRecord())
        await member.takes(5)  # of one poll with all three records
        revocation = asyncio.create_task(member.consumer.rebalance())
        await asyncio.sleep(0)
        member.handler.at_capacity = False
        await member.idles()
        member.handler.settle(len(member.handler.pending))
        await asyncio.wait_for(revocation, 10)
    taken = Counter(number for _, number, _ in member.handler.taken)
    assert member.consumer.offsets == {A: taken[0], B: taken[1]}


async def test_a_failed_poll_loses_nothing_and_commits_nothing_lost(member: Member) -> None:
    """A failed poll loses no record, and no commit passes the records that vanished in it."""
    member.consumer.corrupt[B] = KafkaError("corrupt")
    async with member.running(A, B):
        await wait_until(lambda: member.consumer.positions[A] == 2, "the poll that fails")
        await member.intake.commit()
        assert member.consumer.offsets.get(A, 0) == 0
        member.consumer.corrupt.clear()
        await member.takes(4)
