"""No record is lost or settled wrongly by a rebalance or a failed poll (invariant 1)."""

import asyncio
from collections import Counter

import pytest
from aiokafka.errors import KafkaError

from consumer.stream.give_back import DEFER_BUDGET_SECONDS, DRAIN_BUDGET_SECONDS
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


async def test_partitions_that_stay_are_gone_on_with(member: Member) -> None:
    """Partitions that a rebalance leaves to a member are read on from the last record taken, and
    what is in flight there neither waits nor becomes void.
    """
    async with member.running(A, B):
        await member.takes(4)
        in_flight = list(member.handler.pending)
        member.view.mute = True  # their position needs no answer
        await member.consumer.rebalance(A)
        member.consumer.append(A, FakeRecord())
        await member.takes(5)
        assert not any(pending.revoked for pending in in_flight)
        member.handler.settle(5)
        await member.intake.commit()
        await given_back(member)
    assert member.handler.taken[4:] == [("event", 0, 2)]
    assert member.consumer.offsets == {A: 3, B: 2}
    assert member.handler.deferred == []


async def test_what_is_under_way_on_a_leaving_partition_is_waited_for(member: Member) -> None:
    """A partition that is to move is given back when its deliveries under way are committed, and
    nothing is deferred.
    """
    async with member.running(A):
        await member.takes(2)
        await member.consumer.rebalance()
        await member.idles()
        assert member.intake._owned() == {A}
        assert not member.consumer._coordinator.rejoins
        member.handler.settle(2)
        await given_back(member)
    assert member.consumer.offsets == {A: 2}
    assert member.handler.deferred == []


async def test_what_does_not_end_in_time_on_a_leaving_partition_is_deferred(
    member: Member,
) -> None:
    """Deliveries that do not end in time on a partition that is to move are deferred, so its next
    owner does not send them again.
    """
    async with member.running(A):
        await member.takes(2)
        leaving = list(member.handler.pending)
        await member.consumer.rebalance()
        await given_back(member, DRAIN_BUDGET_SECONDS)
    assert member.handler.deferred == leaving
    assert member.consumer.offsets == {A: 2}


async def test_partitions_are_given_back_though_nothing_can_be_deferred(member: Member) -> None:
    """A partition is given back even if nothing can be deferred, and what is not settled is not
    committed.
    """
    member.handler.settles_deferred = False
    async with member.running(A):
        await member.takes(2)
        await member.consumer.rebalance()
        await given_back(member, DRAIN_BUDGET_SECONDS + DEFER_BUDGET_SECONDS)
    assert member.consumer.offsets == {A: 0}
    assert all(pending.revoked for pending in member.handler.deferred)


async def given_back(member: Member, budget: float = 0.0) -> None:
    """Let time pass until all that leave are given back, which must be within the budget."""
    begin, rejoins = member.clock.monotonic(), member.consumer._coordinator.rejoins

    def step() -> bool:
        if budget:
            member.clock.advance(0.25)
        return not member.intake._assignment.leaving

    await wait_until(step, "the partitions to be given back")
    assert member.consumer._coordinator.rejoins <= rejoins + 1
    assert member.clock.monotonic() - begin <= budget + 2.0


async def test_a_partition_that_comes_back_before_it_is_given_back_is_gone_on_with(
    member: Member,
) -> None:
    """A partition that another rebalance returns before it was given back is read on, and what is
    in flight there counts.
    """
    async with member.running(A):
        await member.takes(2)
        await member.consumer.rebalance()
        await member.idles()
        await member.consumer.rebalance(A)
        member.consumer.append(A, FakeRecord())
        await member.takes(3)
        member.handler.settle(3)
        await member.intake.commit()
        await member.idles()
    assert member.consumer.offsets == {A: 3}
    assert not member.consumer._coordinator.rejoins


async def test_nothing_is_committed_or_given_back_during_a_rebalance(member: Member) -> None:
    """During a rebalance nothing is committed or given back: the group would refuse the commit, and
    not hear of what is given back.
    """
    async with member.running(A):
        await member.takes(2)
        await member.consumer.rebalance()
        await member.idles()
        await member.intake.on_partitions_revoked({A})
        member.consumer.commits.clear()
        member.handler.settle(2)
        committing = asyncio.create_task(member.intake.commit())
        await member.idles()
        assert member.consumer.commits == []
        assert member.intake._owned() == {A}
        await member.intake.on_partitions_assigned(set())
        await committing
        await given_back(member)
    assert member.consumer.offsets == {A: 2}


async def test_an_expelled_member_gives_nothing_back(member: Member) -> None:
    """An expelled member neither defers nor commits what is under way, since its partitions are
    others' already.
    """
    async with member.running(A):
        await member.takes(2)
        old = list(member.handler.pending)
        member.handler.settle(1)
        member.consumer._coordinator.member_id = "another"
        member.consumer.commits.clear()
        assert not member.intake._owned()
        await member.consumer.rebalance()
        assert not member.intake._assignment.owned
    assert member.handler.deferred == []
    assert member.consumer.commits == []
    assert all(pending.revoked for pending in old)


async def test_nothing_is_committed_for_a_partition_that_left(member: Member) -> None:
    """Late settlements change nothing for a partition that left (invariant 1)."""
    member.handler.settles_deferred = False
    async with member.running(A, B):
        await member.takes(4)
        await member.consumer.rebalance(B)
        await given_back(member, DRAIN_BUDGET_SECONDS + DEFER_BUDGET_SECONDS)
        old = list(member.handler.deferred)
        await member.consumer.rebalance(A, B)
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


async def test_nothing_is_taken_of_a_leaving_partition(member: Member) -> None:
    """No record of a partition that is to move is handled, so none outlives its assignment."""
    async with member.running(A, B):
        await member.takes(4)
        await member.consumer.rebalance(A)
        member.consumer.append(A, FakeRecord())
        member.consumer.append(B, FakeRecord())
        await member.takes(5)
        member.handler.settle(5)
        await given_back(member)
        await member.intake.commit()
    assert member.handler.taken[4:] == [("event", 0, 2)]
    assert member.consumer.offsets == {A: 3, B: 2}


async def test_records_that_a_rebalance_made_void_are_not_committed_past(member: Member) -> None:
    """Records that a rebalance discarded are not committed past."""
    async with member.running(A, B):
        await member.takes(4)
        member.handler.settle(3)
        member.handler.fills_at = 5
        member.consumer.append(A, FakeRecord(), FakeRecord())
        member.consumer.append(B, FakeRecord())
        await member.takes(5)  # of one poll with all three records
        await member.consumer.rebalance()
        member.handler.at_capacity = False
        await member.idles()
        member.handler.settle(len(member.handler.pending))
        await given_back(member)
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
