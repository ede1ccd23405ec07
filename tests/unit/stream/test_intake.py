"""Intake handles records and commits what is settled, until a stop."""

import asyncio

import pytest
from aiokafka.errors import CommitFailedError, KafkaError

from consumer.records.delivery_metadata import DeliveryMetadata
from consumer.stream import commits
from support.fakes import FakeRecord
from support.member import OVERFLOW, RETRY, A, B, Member
from support.waiting import wait_until


@pytest.fixture
async def member() -> Member:
    """One with two partitions of two records."""
    member = Member()
    for tp in (A, B):
        member.consumer.append(tp, FakeRecord(), FakeRecord())
    return member


async def test_the_settled_prefix_is_committed(member: Member) -> None:
    """The settled prefix of each partition is committed, and nothing that has not moved."""
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
    """Joining the group is reported with the member's share of partitions."""
    assert not member.intake.membership.joined
    async with member.running(A):
        assert member.intake.membership.joined
    assert member.handler.shares == [{A.topic: (1, 2), RETRY.topic: (0, 0), OVERFLOW.topic: (0, 0)}]


async def test_a_full_handler_pauses_intake(member: Member) -> None:
    """A handler at capacity pauses intake (invariant 4, backpressure)."""
    member.handler.at_capacity = True
    async with member.running(A, B):
        await member.idles()
        assert (member.consumer.polls, member.handler.taken) == (0, [])
        member.handler.at_capacity = False
        await member.takes(4)


async def test_a_poll_of_many_records_leaves_the_loop_responsive(member: Member) -> None:
    """A poll of many records lets the loop run other callbacks in between."""
    member.consumer.append(A, *(FakeRecord() for _ in range(498)))
    turns: set[int] = set()
    loop = asyncio.get_running_loop()

    def turn() -> None:
        turns.add(len(member.handler.taken))
        loop.call_soon(turn)

    turn()
    async with member.running(A):
        await member.takes(500)
    assert len(turns) >= 10


async def test_a_record_that_meets_a_bug_is_never_committed_past(
    member: Member, caplog: pytest.LogCaptureFixture
) -> None:
    """A record whose handling raises is never committed past, the error is logged, and other
    partitions go on.
    """
    member.handler.bugs = {0}
    async with member.running(A):
        await member.takes(1)
        member.handler.settle(1)
        await member.intake.commit()
    assert member.consumer.offsets == {A: 0}
    assert member.intake.unsettled == 1
    assert [bool(r.exc_info) for r in caplog.records if r.levelname == "ERROR"] == [True]


async def test_a_failed_commit_is_tried_again(member: Member) -> None:
    """A commit that fails for any reason is tried again with what has moved meanwhile."""
    errors = (CommitFailedError("rebalance"), KafkaError("away"), asyncio.CancelledError())
    async with member.running(A):
        await member.takes(2)
        for error in errors:
            member.consumer.commit_error = error
            await member.intake.commit()
        member.consumer.commit_error = None
        member.handler.settle(2)
        await member.intake.commit()
    assert member.consumer.commits == [{A: 0}, {A: 0}, {A: 0}, {A: 2}]
    assert member.consumer.offsets == {A: 2}


async def test_many_settled_records_are_committed_at_once(
    member: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five hundred settled records are committed at once; fewer wait for a quarter of a second."""
    assert commits.COMMIT_INTERVAL_SECONDS == 0.25
    monkeypatch.setattr(commits, "COMMIT_INTERVAL_SECONDS", 3600.0)
    member.consumer.append(A, *(FakeRecord() for _ in range(commits.MAX_UNCOMMITTED)))
    async with member.running(A):
        await member.takes(2 + commits.MAX_UNCOMMITTED)
        await member.intake.commit()
        regularly = asyncio.create_task(member.intake.commit_regularly())
        member.handler.settle(commits.MAX_UNCOMMITTED - 1)
        await member.rounds()
        assert member.consumer.offsets == {A: 0}
        member.handler.settle(1)
        await wait_until(lambda: member.consumer.offsets[A] == commits.MAX_UNCOMMITTED, "a commit")
        regularly.cancel()


async def test_a_commit_does_not_wait_for_the_end_of_a_poll(
    member: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What settles while the records of one poll are taken is committed meanwhile."""
    monkeypatch.setattr(commits, "COMMIT_INTERVAL_SECONDS", 3600.0)
    monkeypatch.setattr(commits, "MAX_UNCOMMITTED", 50)
    member.consumer.append(A, *(FakeRecord() for _ in range(300)))
    async with member.running(A):
        member.handler.fills_at = 120
        await member.takes(120)
        await member.intake.commit()
        regularly = asyncio.create_task(member.intake.commit_regularly())
        member.handler.settle(120)
        member.handler.at_capacity, member.handler.fills_at = False, 260
        await member.takes(260)
        await wait_until(lambda: member.consumer.offsets.get(A) == 120, "a commit")
        regularly.cancel()


async def test_commits_are_one_at_a_time() -> None:
    """Commits are made one at a time, since two could arrive in the other order."""
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
    """A commit that hangs is given up, so that a revocation ends."""
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


async def test_a_commit_that_comes_too_late_is_put_right() -> None:
    """For a minute after a commit without an answer everything is committed again, since it may
    arrive behind a newer one.
    """
    member = Member(commit_timeout=0.01)
    member.consumer.append(A, FakeRecord())
    async with member.running(A):
        await member.takes(1)
        member.consumer.commits_may_end.clear()
        await member.intake.commit()
        member.consumer.commits_may_end.set()
        member.handler.settle(1)
        await member.intake.commit()
        member.consumer.offsets[A] = 0  # the first one arrives
        await member.intake.commit()
        assert member.consumer.offsets == {A: 1}
        member.clock.advance(60.0)
        await member.intake.commit()
    assert member.consumer.commits == [{A: 0}, {A: 1}, {A: 1}]


def deferred_record(member: Member, due_in: float) -> FakeRecord:
    """A record of a retry topic, deferred now."""
    not_before = member.clock.now() + due_in
    metadata = DeliveryMetadata("503", "event", 0, 0, 0, "event", not_before=not_before)
    timestamp = int(member.clock.now() * 1000)
    return FakeRecord(timestamp=timestamp, headers=metadata.headers())


async def test_a_record_that_is_not_due_holds_back_its_retry_topic_only(member: Member) -> None:
    """A record that is not due holds back its retry topic only, which goes on in order when it
    is.
    """
    member.consumer.append(RETRY, deferred_record(member, 10.0), deferred_record(member, 10.5))
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
    """A change of the wall clock moves no due time."""
    member.consumer.append(RETRY, deferred_record(member, 10.0))
    async with member.running(RETRY):
        await wait_until(lambda: member.is_paused(RETRY), "the hold")
        member.clock.set_back(86_400.0)
        member.clock.advance(10.0)
        await member.takes(1)


async def test_what_was_not_due_is_not_committed_past(member: Member) -> None:
    """A record that is not due is not committed past."""
    first, second = deferred_record(member, -1.0), deferred_record(member, 10.0)
    member.consumer.append(RETRY, first, second)
    async with member.running(RETRY):
        await member.takes(1)
        member.handler.settle(1)
        await member.rounds()
        await member.intake.commit()
    assert member.consumer.offsets == {RETRY: 1}


async def test_a_foreign_record_on_a_retry_topic_is_handled_at_once(member: Member) -> None:
    """A foreign record without a due time on a retry topic is handled at once."""
    member.consumer.append(RETRY, FakeRecord(timestamp=int(member.clock.now() * 1000)))
    async with member.running(RETRY):
        await member.takes(1)


async def test_another_groups_record_holds_back_nothing(member: Member) -> None:
    """Another group's record on a retry topic is skipped and committed past, and holds back no
    delivery behind it.
    """
    foreign = deferred_record(member, 1_000.0)
    foreign.headers = [*foreign.headers, ("hookstream-group", b"foreign")]
    member.consumer.append(RETRY, foreign, deferred_record(member, -1.0), foreign)
    async with member.running(RETRY):
        await member.takes(1)
        member.handler.settle()
        await member.rounds()
        await member.intake.commit()
    assert member.handler.taken == [(RETRY.topic, 0, 1)]
    assert member.consumer.offsets == {RETRY: 3}


async def test_a_retry_topic_that_comes_back_is_read_anew(member: Member) -> None:
    """The pause of a retry topic's partition ends with its assignment."""
    member.consumer.append(RETRY, deferred_record(member, 10.0))
    async with member.running(RETRY):
        await wait_until(lambda: member.is_paused(RETRY), "the hold")
        await member.consumer.rebalance(RETRY)
        await wait_until(member.consumer.paused, "the hold again")
        member.clock.advance(10.0)
        await member.takes(1)


async def test_a_stop_ends_intake_at_once(member: Member) -> None:
    """A stop ends intake in the middle of a batch, and what was not handled is not committed
    past.
    """
    member.handler.fills_at = 1
    async with member.running(A):
        await member.takes(1)
    member.handler.settle(1)
    await member.intake.close()
    assert member.handler.taken == [("event", 0, 0)]
    assert member.consumer.offsets == {A: 1}
    assert member.consumer.stopped


async def test_the_age_of_the_oldest_is_known(member: Member) -> None:
    """The age of the oldest unsettled record is known, for health and an alert."""
    assert member.intake.oldest_unsettled() == 0.0
    async with member.running(A):
        await member.takes(2)
        member.handler.pending[0].received_at = member.clock.monotonic()
        member.clock.advance(7.0)
        assert member.intake.oldest_unsettled() == 7.0
        assert await member.intake.give_back.settled(0.0) is False
        member.handler.settle(2)
        assert member.intake.oldest_unsettled() == 0.0
        assert await member.intake.give_back.settled(0.0) is True


async def test_a_record_without_its_schema_holds_back_its_partition_only(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A partition waits at a record whose schema is not here yet and is not committed past it; the
    others go on, the wait is told once and no standstill, and the record is taken when the schema
    is there.
    """
    member = Member()
    member.consumer.append(A, *(FakeRecord() for _ in range(3)))
    member.consumer.append(B, FakeRecord(), FakeRecord())
    member.handler.wanted = {1}
    async with member.running(A, B):
        await member.takes(2)
        for _ in range(30):
            member.clock.advance(0.2)
            await member.rounds()
        member.handler.settle(2)
        await member.intake.commit()
        assert member.handler.taken == [("event", 0, 0), ("event", 1, 0)]
        assert member.consumer.offsets == {A: 1, B: 1}
        assert sorted(member.intake.awaiting_schema.partitions()) == [("event", 0), ("event", 1)]
        await member.intake.watch.check()
        member.clock.advance(400.0)
        await member.intake.watch.check()
        assert member.intake.watch.stalled_for == 0.0
        assert member.intake.flow.read().unread == 0
        member.handler.wanted = set()
        member.clock.advance(1.0)
        await member.takes(5)
        assert member.intake.awaiting_schema.partitions() == []
    told = [r.getMessage() for r in caplog.records if "schema" in r.getMessage()]
    assert told == ["a partition waits for a schema"] * 2
