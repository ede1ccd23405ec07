"""The overflow topic is read by what each endpoint can take, not by what stands first."""

from collections.abc import Iterable

import pytest
from aiokafka import TopicPartition

from consumer.records.delivery_metadata import DeliveryMetadata
from consumer.records.order_line import order_text
from consumer.records.overflow_tracker import OverflowTracker
from consumer.stream import overflow_reader
from support.fakes import FakeRecord
from support.member import OVERFLOW, A, Member, hook_of
from support.waiting import wait_until


def record(hook: str, group: str = "") -> FakeRecord:
    """A record of the overflow topic."""
    metadata = DeliveryMetadata(
        "crowded", "event", 0, 0, 0, "event", hook=hook, first_failed_at=1_799_999_000.0
    )
    headers = metadata.headers(group)
    return FakeRecord(headers=list(headers))


def make_member(hooks: Iterable[str]) -> Member:
    """A member whose partition of the overflow topic has a record for each of `hooks`."""
    member = Member()
    member.consumer.append(OVERFLOW, *(record(hook) for hook in hooks))
    return member


def tracker_of(member: Member) -> OverflowTracker | None:
    """The index of the partition."""
    tracker = member.intake._assignment.trackers.get(OVERFLOW)
    return tracker if isinstance(tracker, OverflowTracker) else None


async def indexes(member: Member, end: int) -> OverflowTracker:
    """Wait until everything before `end` is in the index."""

    def is_there() -> bool:
        tracker = tracker_of(member)
        return tracker is not None and tracker.next_offset >= end

    await wait_until(is_there, f"the index to {end}")
    tracker = tracker_of(member)
    assert tracker is not None
    return tracker


def taken(member: Member, hook: str | None = None) -> list[int]:
    """The offsets that were taken, all or those of one hook."""
    log = {r.offset: hook_of(r) for r in member.consumer.logs[OVERFLOW]}
    offsets = [offset for topic, _, offset in member.handler.taken if topic == OVERFLOW.topic]
    return [offset for offset in offsets if hook in (None, log[offset])]


async def gives_room(member: Member, **rooms: int) -> None:
    """Let endpoints take so many more, and wait until they are used up."""
    member.handler.rooms = dict(rooms)
    member.clock.advance(1.0)
    await wait_until(lambda: not any(member.handler.rooms.values()), f"{rooms}")


async def test_a_partition_is_indexed_to_its_end() -> None:
    """Without room in any endpoint the overflow topic is read to its end once, nothing is taken,
    and nothing is committed past.
    """
    member = make_member("abc" * 400)
    async with member.running(OVERFLOW):
        tracker = await indexes(member, 1_200)
        await member.rounds()
        await member.intake.commit()
        assert {hook: queue.waiting for hook, queue in tracker.queues.items()} == {
            "a": 400, "b": 400, "c": 400,
        }  # fmt: skip
    assert member.handler.taken == []
    assert member.consumer.offsets == {OVERFLOW: 0}
    assert {member.consumer.given[OVERFLOW, offset] for offset in range(500, 1_200)} == {1}
    assert ("a", 1_799_999_000.0) in member.handler.asked


async def test_a_dead_endpoint_holds_up_no_other() -> None:
    """A hook whose endpoint has room gets its first record at once, though ten thousand of a dead
    endpoint stand before it, and these are not read again.
    """
    member = make_member(["dead"] * 10_000 + ["good", "dead", "good"])
    async with member.running(OVERFLOW):
        await indexes(member, 10_003)
        member.consumer.given.clear()
        await gives_room(member, good=1)
        assert taken(member) == [10_000]
        await gives_room(member, good=1)
    assert taken(member) == [10_000, 10_002]
    assert min(offset for _, offset in member.consumer.given) == 10_000


async def test_what_lies_between_two_records_of_a_hook_is_not_read_again() -> None:
    """Records of a dead endpoint between two records of another hook are passed over, not read."""
    member = make_member(["good", *["dead"] * 2_000, "good"])
    async with member.running(OVERFLOW):
        await indexes(member, 2_002)
        member.consumer.given.clear()
        await gives_room(member, good=1)
        await gives_room(member, good=1)
    assert taken(member) == [0, 2_001]
    assert len(member.consumer.given) < 1_000


async def test_no_more_is_taken_than_there_is_room_for() -> None:
    """A hook's records are taken in order, and no more of them than its endpoint has room for."""
    member = make_member("ab" * 20)
    async with member.running(OVERFLOW):
        await indexes(member, 40)
        await gives_room(member, a=3)
        await member.rounds()
        assert taken(member) == [0, 2, 4]
        await gives_room(member, a=2, b=7)
        await member.rounds()
    assert taken(member, "a") == [0, 2, 4, 6, 8]
    assert taken(member, "b") == [1, 3, 5, 7, 9, 11, 13]


async def test_a_record_is_taken_as_soon_as_it_is_read() -> None:
    """A record whose endpoint has room is taken when it is read for the first time."""
    member = make_member("")
    member.handler.rooms = {"b": 9}
    async with member.running(OVERFLOW):
        await indexes(member, 0)
        await member.rounds()
        member.consumer.append(OVERFLOW, *map(record, "abab"))
        await member.takes(2)
    assert taken(member) == [1, 3]
    assert set(member.consumer.given.values()) == {1}


async def test_a_full_index_is_not_added_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """A partition whose index is full is paused, which is no stall, and is read on as its first
    records are settled.
    """
    monkeypatch.setattr(overflow_reader, "MAX_INDEXED_RECORDS", 100)
    member = make_member(["a"] * 550)
    async with member.running(OVERFLOW):
        await indexes(member, 500)
        await wait_until(lambda: OVERFLOW in member.consumer.paused(), "the pause")
        await member.rounds()
        assert member.consumer.given[OVERFLOW, 500] == 0
        assert member.intake._waits_on_purpose(OVERFLOW)
        await gives_room(member, a=500)
        member.handler.settle(500)
        await indexes(member, 550)
        assert not member.intake._waits_on_purpose(OVERFLOW)
        await gives_room(member, a=50)
    assert taken(member) == list(range(550))


async def test_an_index_has_room_for_so_many_hooks() -> None:
    """A record of one hook more than an index can tell apart is neither skipped nor taken before
    those in the index are settled.
    """
    member = make_member("")
    async with member.running(OVERFLOW):
        tracker = await indexes(member, 0)
        tracker.max_hooks = 2
        member.consumer.append(OVERFLOW, *map(record, "ababcac"))
        await indexes(member, 4)
        await member.rounds()
        assert tracker.next_offset == 4
        await gives_room(member, a=2, b=2)
        member.handler.settle(4)
        await indexes(member, 7)
        await gives_room(member, c=2, a=1)
    assert taken(member) == list(range(7))


async def test_what_the_log_lost_is_told_and_settled(caplog: pytest.LogCaptureFixture) -> None:
    """Records that retention deletes while they wait are logged, counted and settled, and the later
    ones are taken.
    """
    member = make_member("a" * 10)
    async with member.running(OVERFLOW):
        await indexes(member, 10)
        member.consumer.starts[OVERFLOW] = 6
        del member.consumer.logs[OVERFLOW][:6]
        await gives_room(member, a=4)
        assert taken(member) == [6, 7, 8, 9]
        await member.intake.commit()
        assert member.consumer.offsets == {OVERFLOW: 6}
        member.handler.settle(4)
        await member.intake.commit()
    assert member.consumer.offsets == {OVERFLOW: 10}
    assert member.overflow.behind == {}
    told = [r for r in caplog.records if "lost: it no longer holds" in r.getMessage()]
    assert len(told) == 1
    assert member.metrics._lost[OVERFLOW.topic, 0] == 6


async def test_each_is_taken_once_though_positions_are_set_back() -> None:
    """Each record is taken once and in order, though a failed poll sets all positions back."""
    member = make_member("ab" * 300)
    async with member.running(OVERFLOW):
        await indexes(member, 600)
        for _ in range(10):
            member.intake._poller.invalidate_positions()
            await gives_room(member, a=20)
            member.intake._poller.invalidate_positions()
            await gives_room(member, b=30)
    assert taken(member, "a") == list(range(0, 400, 2))
    assert taken(member, "b") == list(range(1, 600, 2))


async def test_what_is_settled_is_not_read_again() -> None:
    """A commit names what is settled behind its offset, and the next owner takes none of it
    again.
    """
    member, owner = make_member("abaabab"), Member()
    async with member.running(OVERFLOW):
        await indexes(member, 7)
        await gives_room(member, b=3)
        member.handler.settle(3)
        await member.intake.commit()
        assert member.consumer.offsets == {OVERFLOW: 0}
    owner.consumer.logs = member.consumer.logs
    owner.consumer.offsets, owner.consumer.metadata = (
        member.consumer.offsets,
        member.consumer.metadata,
    )
    async with owner.running(OVERFLOW):
        await indexes(owner, 7)
        assert owner.overflow.behind == {"a": 4}
        await gives_room(owner, a=4)
        owner.handler.settle(4)
        await owner.intake.commit()
    assert taken(owner) == [0, 2, 3, 5]
    assert owner.consumer.offsets == {OVERFLOW: 7}


async def test_a_revocation_puts_nothing_past_what_waits() -> None:
    """At a revocation what waits in the overflow topic stays for the next owner, and no hook is
    behind it here any more.
    """
    member = make_member("aab")
    async with member.running(OVERFLOW):
        await indexes(member, 3)
        assert member.overflow.behind == {"a": 2, "b": 1}
        await member.consumer.rebalance()
        assert member.overflow.behind == {}
    assert member.consumer.offsets == {OVERFLOW: 0}
    assert member.handler.deferred == []


async def test_a_topic_that_was_made_again_is_indexed_anew() -> None:
    """An overflow topic that was deleted and made again is read from its start, whatever was
    settled of the old one.
    """
    member = make_member("abab")
    async with member.running(OVERFLOW):
        await indexes(member, 4)
        await gives_room(member, b=2)
        member.handler.settle(2)
        await member.intake.commit()
        member.consumer.logs[OVERFLOW].clear()
        member.view.ids[OVERFLOW.topic] += 1
        member.consumer.append(OVERFLOW, *(record("b") for _ in range(6)))
        for _ in range(3):
            await member.intake.placement.check()
            member.clock.advance(3.0)
        await wait_until(lambda: member.overflow.behind == {"b": 6}, "the new index")
        await gives_room(member, b=6)
    assert [offset for _, _, offset in member.handler.taken] == [1, 3, *range(6)]


async def test_another_groups_record_is_passed_over() -> None:
    """Another group's record on the overflow topic is not taken, and is committed past."""
    member = Member()
    member.consumer.append(OVERFLOW, record("a", "foreign"), record("a"), record("a", "foreign"))
    member.handler.rooms = {"a": 9}
    async with member.running(OVERFLOW):
        await member.takes(1)
        member.handler.settle()
        await indexes(member, 3)
        await member.intake.commit()
    assert member.handler.taken == [(OVERFLOW.topic, 0, 1)]
    assert member.consumer.offsets == {OVERFLOW: 3}


async def test_a_record_that_meets_a_bug_holds_back_commits_only(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A record of the overflow topic whose handling raises is never committed past, the error is
    logged, and the next ones are taken.
    """
    member = make_member("aaa")
    member.handler.bugs, member.handler.rooms = {1}, {"a": 9}
    async with member.running(OVERFLOW):
        await member.takes(2)
        member.handler.settle(2)
        await member.intake.commit()
    assert taken(member) == [0, 2]
    assert member.consumer.offsets == {OVERFLOW: 1}
    assert any(r.getMessage() == "a record could not be processed" for r in caplog.records)


async def test_another_programs_record_has_its_turn() -> None:
    """A record without hookstream's headers on the overflow topic is given to the handler, which
    routes it.
    """
    member = Member()
    member.consumer.append(OVERFLOW, FakeRecord(headers=[("hookstream-first-failed-at", b"soon")]))
    member.handler.rooms = {"": 1}
    async with member.running(OVERFLOW):
        await member.takes(1)
    assert member.handler.asked[0] == ("", 1_800_000_000.0)


async def test_a_source_is_read_while_the_overflow_topic_waits() -> None:
    """Source topics are read while everything in the overflow topic waits."""
    member = make_member("aaa")
    async with member.running(OVERFLOW, A):
        await indexes(member, 3)
        member.consumer.append(A, FakeRecord(), FakeRecord())
        await member.takes(2)
    assert {TopicPartition(topic, number) for topic, number, _ in member.handler.taken} == {A}


async def test_sources_wait_while_the_process_catches_up() -> None:
    """While the process catches up, sources are not read and the overflow topic is; then they go
    on with their next record.
    """
    member = make_member("a" * 600)
    async with member.running(OVERFLOW, A):
        await indexes(member, 600)
        await gives_room(member, a=1)
        for _ in range(300):
            member.overflow.catch_up.went_behind()
        member.consumer.append(A, FakeRecord())
        await gives_room(member, a=50)
        await member.rounds()
        assert len(taken(member)) == 51
        await gives_room(member, a=100)
        await wait_until(lambda: (A.topic, A.partition, 0) in member.handler.taken, "the source")
    assert taken(member, "a") == list(range(151))


async def test_a_fetch_waits_less_while_an_endpoint_takes_what_waits() -> None:
    """While an endpoint takes what waits for it a fetch does not wait long for other records, which
    would keep its own from being read; with none it does.
    """
    member = make_member("ab")
    async with member.running(OVERFLOW):
        await indexes(member, 2)
        member.clock.advance(0.1)
        await wait_until(lambda: member.consumer.is_urgent, "a look")
        await gives_room(member, a=1, b=1)
        member.clock.advance(0.1)
        await wait_until(lambda: not member.consumer.is_urgent, "a look")


async def test_a_record_without_its_schema_holds_up_its_hook_only() -> None:
    """A delivery in the overflow topic whose schema is not here yet keeps its place before those of
    its hook, holds up no other hook, and is taken when the schema is there.
    """
    member = make_member("aab")
    member.handler.wanted, member.handler.rooms = {0}, {"a": 9, "b": 9}
    async with member.running(OVERFLOW):
        tracker = await indexes(member, 3)
        await wait_until(lambda: taken(member) == [2], "the other hook's record")
        assert (tracker.queues["a"].waiting, member.overflow.behind["a"]) == (2, 2)
        asked = len(member.handler.asked)
        member.clock.advance(0.06)  # in which it would be asked for room again
        await member.rounds(10)
        assert len(member.handler.asked) == asked
        member.handler.wanted.clear()
        member.clock.advance(1.0)
        await wait_until(lambda: taken(member) == [2, 0, 1], "the others, in order")


@pytest.mark.parametrize("count", [400, 2_000])
async def test_lines_go_on_though_the_index_is_full(
    monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """After a restart the lines of a partition go on though more waits there than an index may
    hold.
    """
    monkeypatch.setattr(overflow_reader, "MAX_INDEXED_RECORDS", 1_000)
    member = Member()
    waiting = (
        DeliveryMetadata(
            "crowded", "event", 0, number, 0, "event", hook="a", first_failed_at=1_799_999_000.0,
            order=order_text(number + 1, is_first=False),
        )
        for number in range(count)
    )  # fmt: skip
    member.consumer.append(OVERFLOW, *(FakeRecord(headers=list(m.headers(""))) for m in waiting))
    async with member.running(OVERFLOW):
        await indexes(member, count)
        await gives_room(member, a=1)
    assert taken(member) == [0]
