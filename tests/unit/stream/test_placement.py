"""Positions: each partition gets one by itself, and every reset is reported."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import GroupAuthorizationFailedError, KafkaError

from consumer.errors import HookstreamError
from consumer.stream.positions import LATEST, CommitNote
from support.fakes import FakeRecord
from support.member import RETRY, A, B, Member
from support.waiting import wait_until

HOUR_MS = 3_600_000


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> "Said":
    """What the log says from now on."""
    caplog.set_level(logging.INFO)
    return Said(caplog)


class Said:
    """Lines by their event."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog

    def __call__(self, event: str) -> list[dict[str, Any]]:
        """The fields of each line that begins like this."""
        found = [r for r in self._caplog.records if r.getMessage().startswith(event)]
        return [{"level": r.levelname, **vars(r)["fields"]} for r in found]


def _member(*, start: int | None = None, records: int = 0) -> Member:
    """One that may have A and B, of `records` each."""
    member = Member() if start is None else Member(start=start)
    for tp in (A, B):
        member.consumer.append(tp, *(FakeRecord() for _ in range(records)))
    return member


def _age(member: Member, hours: float) -> FakeRecord:
    """A record of that age."""
    return FakeRecord(timestamp=int(member.clock.now() * 1000 - hours * HOUR_MS))


async def _joined(member: Member, *partitions: TopicPartition) -> None:
    """Assigned these, with positions as far as leaders answer."""
    await member.intake.start()
    await member.consumer.rebalance(*partitions)
    await member.intake.placement.check()


async def _confirmed(member: Member) -> None:
    """Looked twice, so long after each other that what both times told is believed."""
    await member.intake.placement.check()
    member.clock.advance(3.0)
    await member.intake.placement.check()


def _positions(member: Member) -> Mapping[TopicPartition, int]:
    """Of the partitions that are read."""
    paused = member.consumer.paused()
    return {tp: at for tp, at in member.consumer.positions.items() if tp not in paused}


async def test_a_partition_goes_on_at_its_commit() -> None:
    """A partition goes on at its committed offset without a log line."""
    member = _member(records=5)
    member.consumer.offsets = {A: 2, B: 5}
    await _joined(member, A, B)
    assert _positions(member) == {A: 2, B: 5}


async def test_a_partition_without_a_leader_waits_alone() -> None:
    """A partition without a leader waits alone and begins when its leader is back."""
    member = _member(records=2)
    member.view.away.add(B)
    async with member.running(A, B):
        await member.takes(2)
        await member.intake.commit()
        assert member.consumer.offsets == {A: 0}
        member.view.away.clear()
        member.intake.placement.check_soon()
        await member.takes(4)


async def test_a_mute_cluster_is_asked_again() -> None:
    """A cluster that does not answer is asked again; nothing is read meanwhile, and nothing
    fails.
    """
    member = _member(records=2)
    member.view.mute = True
    await _joined(member, A, B)
    assert _positions(member) == {}
    member.view.mute = False
    await member.intake.placement.check()
    assert _positions(member) == {A: 0, B: 0}


async def test_a_question_that_is_refused_ends_the_daemon() -> None:
    """A refused question ends the daemon, and any other failure is tried again."""
    member = _member()
    await _joined(member)
    member.view.refusal = KafkaError("strange")
    await member.intake.placement.check()
    member.view.refusal = GroupAuthorizationFailedError("hookstream")
    with pytest.raises(HookstreamError, match="refuses the group"):
        await member.intake.placement.check()


async def test_answers_that_outlive_their_assignment_are_void() -> None:
    """Answers that arrive after their assignment ended are ignored."""
    member = _member(records=2)
    await member.intake.start()
    await member.consumer.rebalance(A)
    asked, answer = asyncio.Event(), asyncio.Event()
    offsets = member.view.offsets

    async def slowly(times: Mapping[TopicPartition, int], isolation: int) -> Any:
        asked.set()
        await answer.wait()
        return await offsets(times, isolation)

    member.view.offsets = slowly  # type: ignore[method-assign]
    looking = asyncio.create_task(member.intake.placement.check())
    await asked.wait()
    await member.consumer.rebalance(B)
    answer.set()
    await looking
    assert _positions(member) == {}
    await member.intake.placement.check()
    assert _positions(member) == {B: 0}


async def test_a_new_group_begins_where_the_settings_say(said: Said) -> None:
    """A new group begins at the settings' `start`, and retry topics at their first record."""
    member = _member(start=LATEST, records=3)
    member.consumer.append(RETRY, FakeRecord())
    await _joined(member, A, RETRY)
    assert _positions(member) == {A: 3, RETRY: 0}
    lines = {line["topic"]: line for line in said("reading of a topic begins")}
    assert (lines[A.topic]["events"], lines[A.topic]["start"]) == (0, "latest")
    assert (lines[RETRY.topic]["events"], lines[RETRY.topic]["start"]) == (1, "earliest")


async def test_a_new_group_begins_at_a_time(said: Said) -> None:
    """A new group may begin at the first record of a time, and the number of old records is
    logged.
    """
    member = Member()
    member = Member(start=int(member.clock.now() * 1000) - 3 * HOUR_MS)
    member.consumer.append(A, *(_age(member, hours) for hours in (5, 4, 2, 1.5, 0.5)))
    member.consumer.append(B, *(_age(member, hours) for hours in (6, 4)))
    await _joined(member, A, B)
    assert _positions(member) == {A: 2, B: 2}
    [line] = said("old events will be sent")
    assert (line["level"], line["events"], line["older_than_an_hour"]) == ("WARNING", 3, 2)


async def test_a_partition_that_is_added_is_read_from_its_first_record() -> None:
    """A partition that is added later is read from its first record, even with `start: latest`."""
    member = Member(start=LATEST)
    member.consumer.append(A, FakeRecord(), FakeRecord())
    await _joined(member, A)
    await member.intake.commit()
    member.consumer.append(B, FakeRecord(), FakeRecord())
    await member.consumer.rebalance(A, B)
    await member.intake.placement.check()
    assert _positions(member) == {A: 2, B: 0}


async def test_a_partition_whose_leader_comes_late_is_read_from_the_groups_beginning() -> None:
    """With `latest` a partition whose leader comes late begins at the moment when the group
    began.
    """
    member = Member(start=LATEST)
    member.consumer.append(A, FakeRecord())
    member.consumer.append(B, _age(member, 2), _age(member, 1))
    member.view.away.add(B)
    await _joined(member, A, B)
    await member.intake.commit()
    member.clock.advance(60.0)
    member.consumer.append(B, _age(member, 0))
    member.view.away.clear()
    await member.intake.placement.check()
    assert _positions(member) == {A: 1, B: 2}


async def test_commits_of_an_older_version_are_those_of_a_group_that_has_begun() -> None:
    """Commits of an older version, which have no topic id, are used as they are."""
    member = _member(start=LATEST, records=3)
    member.consumer.offsets[A] = 1
    await _joined(member, A, B)
    assert _positions(member) == {A: 1, B: 0}


async def test_commits_that_a_mirror_copied_are_believed() -> None:
    """Commits that a mirror copied from another cluster are used as they are, although topic ids
    differ.
    """
    member = _member(records=3)
    member.consumer.offsets[A] = 2
    member.consumer.metadata[A] = CommitNote("elsewhere", "other", 0, 2).text()
    await _joined(member, A)
    assert _positions(member) == {A: 2}
    await member.intake.commit()
    note = CommitNote.read(member.consumer.metadata[A])
    assert note is not None
    assert (note.cluster_id, note.topic_id) == ("cluster", "event-0")


async def test_a_topic_made_again_is_read_from_its_start(said: Said) -> None:
    """A topic that was made again is read from its start, and its old deliveries end without
    changing an offset.
    """
    member = _member(records=2)
    async with member.running(A):
        await member.takes(2)
        old = list(member.handler.pending)
        await member.intake.commit()
        member.consumer.logs[A].clear()
        member.view.ids[A.topic] += 1
        member.consumer.append(A, *(FakeRecord() for _ in range(5)))
        await _confirmed(member)
        await wait_until(lambda: len(member.handler.pending) >= 2 + 5, "the new records")
        for pending in old:
            assert not pending.revoked
            pending.ack_one()
        await member.intake.commit()
        assert member.consumer.offsets == {A: 0}
        for pending in member.handler.pending[2:]:
            pending.ack_one()
        await member.intake.commit()
        assert member.consumer.offsets[A] >= 5
    [line] = said("a topic was deleted and recreated")
    assert (line["topic"], line["partitions"]) == (A.topic, [0])


async def test_a_topic_made_again_between_two_runs_is_read_from_its_start(said: Said) -> None:
    """A topic that was made again between two runs is read from its start, by the topic id in the
    commit.
    """
    member = _member(records=2)
    member.consumer.offsets[A] = 2
    member.consumer.metadata[A] = CommitNote("cluster", "of before", 0, 2).text()
    member.consumer.append(A, FakeRecord(), FakeRecord())
    await _joined(member, A)
    await _confirmed(member)
    assert _positions(member) == {A: 0}
    [line] = said("a topic was deleted and recreated")
    assert line["events"] == 4


async def test_a_topic_made_again_after_it_was_gone_is_read_from_its_start() -> None:
    """A topic that was gone and made again is read from its start, even if new groups begin at the
    end.
    """
    member = _member(start=LATEST, records=2)
    await _joined(member, A)
    await member.intake.commit()
    member.consumer.deleted.add(A.topic)
    await member.consumer.rebalance()
    member.consumer.offsets.clear()  # the broker forgets them with the topic
    member.consumer.deleted.clear()
    member.view.ids[A.topic] += 1
    member.consumer.logs = {}
    for tp in (A, B):
        member.consumer.append(tp, FakeRecord(), FakeRecord())
    await member.consumer.rebalance(A, B)
    await _confirmed(member)
    assert _positions(member) == {A: 0, B: 0}


async def test_what_is_under_way_of_a_deleted_topic_is_not_given_up() -> None:
    """Deliveries under way of a deleted topic are not given up, and a revocation does not wait for
    them.
    """
    member = _member(records=2)
    async with member.running(A):
        await member.takes(2)
        member.consumer.deleted.add(A.topic)
        await asyncio.wait_for(member.consumer.rebalance(), 5)
        assert not any(pending.revoked for pending in member.handler.pending)
        assert member.handler.deferred == []
        assert member.intake.unsettled == 2
        assert await member.intake.give_back.settled(0.0) is False
        member.handler.settle(2)
        assert member.intake.unsettled == 0


async def test_a_deleted_topic_is_in_no_commit() -> None:
    """A deleted topic is left out of commits, which the broker would refuse as a whole."""
    member = _member(records=1)
    member.consumer.append(RETRY, FakeRecord())
    await _joined(member, A, RETRY)
    member.consumer.deleted.add(A.topic)
    await member.intake.commit()
    assert member.consumer.offsets == {RETRY: 0}


async def test_a_topic_that_stays_away_is_told_once(said: Said) -> None:
    """A topic that stays away is reported once, after some time."""
    member = _member()
    await _joined(member, RETRY)
    member.consumer.deleted.add(A.topic)
    for _ in range(6):
        await member.intake.placement.check()
        member.clock.advance(1.0)
    assert [line["topic"] for line in said("a topic no longer exists")] == [A.topic]
    member.consumer.deleted.clear()
    for _ in range(2):
        await member.intake.placement.check()
    assert [line["topic"] for line in said("a topic exists again")] == [A.topic]


async def test_a_log_that_begins_later_is_gone_on_with(said: Said) -> None:
    """A log that begins behind the position is read from its begin, and what is lost is logged and
    counted.
    """
    member = _member(records=2)
    async with member.running(A):
        await member.takes(2)
        member.consumer.append(A, *(FakeRecord() for _ in range(8)))
        member.consumer.starts[A] = 7
        await member.takes(5)
        assert [offset for _, _, offset in member.handler.taken] == [0, 1, 7, 8, 9]
        await member.intake.commit()
        assert member.consumer.offsets == {A: 0}
        member.handler.settle(5)
        await member.intake.commit()
        assert member.consumer.offsets == {A: 10}
    [line] = said("records were lost")
    assert (line["level"], line["lost"], line["position"], line["log_start"]) == ("ERROR", 5, 2, 7)


async def test_an_answer_of_before_makes_nothing_be_read_again(said: Said) -> None:
    """A broker's outdated answer about a topic or its end makes nothing be read again: only answers
    that agree for some seconds count.
    """
    member = _member(records=5)
    member.consumer.offsets[A] = 4
    member.consumer.metadata[A] = CommitNote("cluster", "event-0", 0, 2).text()
    del member.consumer.logs[A][2:]
    await _joined(member, A)
    member.clock.advance(60.0)
    member.view.ids[A.topic] += 1
    await member.intake.placement.check()
    member.view.ids[A.topic] -= 1
    await member.intake.placement.check()
    assert _positions(member) == {}
    member.consumer.append(A, FakeRecord(), FakeRecord(), FakeRecord())
    await member.intake.placement.check()
    assert _positions(member) == {A: 4}
    assert [*said("records were lost"), *said("a topic was deleted")] == []


async def test_a_log_that_ends_earlier_is_read_from_its_start(said: Said) -> None:
    """A log that ends before the committed offset is read from its start."""
    member = _member(records=3)
    member.consumer.offsets[A] = 9
    await _joined(member, A)
    await _confirmed(member)
    assert _positions(member) == {A: 0}
    [line] = said("records were lost")
    assert (line["lost"], line["position"], line["log_end"]) == (6, 9, 3)


async def test_records_that_were_polled_around_a_move_are_taken_once() -> None:
    """Records that were polled while a position was set are handled once."""
    member = _member(records=2)
    async with member.running(A):
        await member.takes(2)
        for _ in range(5):
            member.view.ids[A.topic] += 1
            await _confirmed(member)
            await member.rounds(2)
        await member.rounds()
    taken = [offset for _, _, offset in member.handler.taken]
    assert taken == [0, 1] * (len(taken) // 2)
    assert len(taken) >= 4
