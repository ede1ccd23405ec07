"""Deliveries of a hook with `order: user`: when they begin, wait, and are written."""

import pytest

from consumer.records.overflow_tracker import OverflowTracker
from support.fakes import FakeRecord, make_hook, make_record
from support.pipeline_harness import DEAD, OVERFLOW, RETRY_TOPICS, PipelineHarness
from support.scheduler_harness import CIRCUIT, id_of

HOOK = make_hook("h1", order="user")


def event(number: int, user: str | None = "u1", partition: int = 0) -> FakeRecord:
    """The event of a user with this offset."""
    document = {"id": f"e{number}", "user": {"id": user} if user is not None else {}}
    return make_record(document, offset=number, partition=partition)


def ordered_harness() -> tuple[PipelineHarness, OverflowTracker]:
    """A pipeline of one ordered hook that owns the only partition of the overflow topic."""
    harness = PipelineHarness(HOOK)
    return harness, harness.assign_home()


def failed_line(number: int = 2) -> tuple[PipelineHarness, OverflowTracker, list[FakeRecord]]:
    """A line whose first delivery has failed, of so many: all of them wait in the overflow topic,
    and the retry is due.
    """
    harness, tracker = ordered_harness()
    for each in range(number):
        harness.handle(event(each))
    harness.transport.answer(503)
    records = [harness.index_in_line(harness.acknowledge().record(), tracker) for _ in harness.post]
    assert harness.next_in_line(tracker) == -1
    harness.clock.advance(20.0)
    assert harness.next_in_line(tracker) == 0
    return harness, tracker, records


def sent(harness: PipelineHarness) -> list[str]:
    """The deliveries of all requests, in order."""
    return [id_of(request.headers).partition(":")[0] for request in harness.transport.sent]


def posted(harness: PipelineHarness) -> list[tuple[str, str]]:
    """Topic and delivery of each record that waits for the broker."""
    return [
        (each.outgoing.topic, each.metadata.delivery_id.partition(":")[0]) for each in harness.post
    ]


def test_a_user_waits_for_his_own_delivery_only() -> None:
    """The next delivery of a user begins when the one before it is delivered, and those of other
    users, and of events without one, begin at once.
    """
    harness, _ = ordered_harness()
    for number, user in enumerate(["u1", "u1", "u2", None, "u1", None]):
        harness.handle(event(number, user))
    assert sent(harness) == ["e0", "e2", "e3", "e5"]
    harness.transport.answer(200)
    assert sent(harness)[4:] == ["e1"]
    harness.transport.answer(200, index=3)
    assert sent(harness)[5:] == ["e4"]
    assert harness.post == []


def test_a_failing_delivery_is_written_before_those_behind_it() -> None:
    """A delivery that fails waits in the overflow topic until its retry is due, and those behind it
    are written after it, with the later ones of its user; another user's begins at once.
    """
    harness, _ = ordered_harness()
    for number in range(3):
        harness.handle(event(number))
    harness.transport.answer(503)
    harness.handle(event(3))
    harness.handle(event(4, "u2"))
    assert posted(harness) == [(OVERFLOW, f"e{number}") for number in range(4)]
    head, *others = [each.metadata for each in harness.post]
    assert head.order.endswith(" first")
    assert head.not_before is not None
    assert head.not_before > harness.clock.now()
    key = head.order.removesuffix(" first")
    assert {(each.order, each.not_before) for each in others} == {(key, None)}
    assert all(each.outgoing.partition == 0 for each in harness.post)
    assert sent(harness) == ["e0", "e4"]
    harness.acknowledge()
    assert harness.count("deliveries_total", hook="h1", outcome="retried") == 1.0
    assert harness.count("deliveries_total", hook="h1", outcome="overflowed") == 0.0


def test_what_failed_goes_first_when_it_is_due() -> None:
    """A delivery that was written behind those of its user goes before them, once it is due, and
    the next one when its record is settled.
    """
    harness, tracker, (first, second) = failed_line()
    assert harness.next_in_line(tracker) == first.offset
    harness.take_in_line(first, tracker)
    assert harness.next_in_line(tracker) == -1
    harness.transport.answer(503)
    again = harness.acknowledge().record()
    assert harness.next_in_line(tracker) == -1
    again = harness.index_in_line(again, tracker)
    harness.clock.advance(100.0)
    assert again.offset > second.offset
    assert harness.next_in_line(tracker) == again.offset
    harness.take_in_line(again, tracker)
    harness.transport.answer(200)
    assert harness.next_in_line(tracker) == second.offset
    harness.take_in_line(second, tracker)
    harness.transport.answer(200)
    assert len(harness.overflow.lines) == 0
    assert tracker.committable == tracker.next_offset == 3


def test_the_next_one_waits_until_the_dead_letter_is_written() -> None:
    """Behind a delivery that is given up the next one begins when the broker has the dead letter:
    a restart before that would send the first one again.
    """
    harness, _ = ordered_harness()
    for number in range(2):
        harness.handle(event(number))
    harness.transport.answer(400)
    assert posted(harness) == [(DEAD, "e0")]
    assert harness.post[0].metadata.order == ""
    assert sent(harness) == ["e0"]
    harness.acknowledge()
    assert sent(harness) == ["e0", "e1"]


def test_a_dead_letter_out_of_the_overflow_topic_frees_its_line() -> None:
    """A delivery that comes out of the overflow topic and is given up holds its user back until
    the broker has the dead letter.
    """
    harness, tracker, (first, second) = failed_line()
    harness.take_in_line(first, tracker)
    harness.transport.answer(400)
    assert harness.next_in_line(tracker) == -1
    harness.acknowledge()
    assert harness.next_in_line(tracker) == second.offset


@pytest.mark.parametrize("owned", ["another", "none", "not indexed to its end"])
def test_only_the_owner_of_its_home_sends(owned: str) -> None:
    """A replica that does not own the overflow partition of the source partition, or has not
    indexed it to its end, writes every delivery to it.
    """
    harness = PipelineHarness(HOOK)
    lines = harness.overflow.lines
    if owned == "another":
        harness.assign_home(1, partitions=2)
    elif owned != "none":
        harness.assign_home(0, partitions=2)
        lines.doubt_home(0)
        lines.set_end(0, 1, lines.unsure()[0])
    for number, user in enumerate(["u1", "u2", "u1"]):
        harness.handle(event(number, user))
    assert [each.outgoing.partition for each in harness.post] == [0, 0, 0]
    assert all(each.outgoing.is_ordered for each in harness.post)
    assert {each.metadata.reason for each in harness.post} == {"behind"}
    assert harness.transport.sent == []


def test_nothing_overtakes_what_is_on_its_way() -> None:
    """A delivery that was handed to the outbox, acknowledged or not, is overtaken by none of its
    user before it was read, also if the partition is assigned meanwhile.
    """
    harness = PipelineHarness(HOOK)
    harness.handle(event(0))
    tracker = harness.assign_home()
    harness.handle(event(1))
    first = harness.acknowledge().record()
    harness.handle(event(2))
    assert posted(harness) == [(OVERFLOW, "e1"), (OVERFLOW, "e2")]
    first = harness.index_in_line(first, tracker)
    for _ in range(2):
        harness.index_in_line(harness.acknowledge().record(), tracker)
    assert sent(harness) == []
    assert harness.next_in_line(tracker) == first.offset


def test_what_waits_for_its_endpoint_holds_back_new_ones() -> None:
    """While an endpoint takes none of what waits for it, the deliveries of all users go behind."""
    harness, _ = ordered_harness()
    harness.overflow.lines.crowded.add("h1")
    harness.handle(event(0))
    assert posted(harness) == [(OVERFLOW, "e0")]
    harness.overflow.lines.crowded.clear()
    harness.handle(event(1, "u2"))
    assert sent(harness) == ["e1"]


def test_an_open_circuit_holds_nothing_in_memory() -> None:
    """While a circuit is open deliveries are written at once, each user's in order; one that comes
    out too early is put back without a write, and stays the first of its user.
    """
    harness, tracker = ordered_harness()
    for number in range(CIRCUIT.min_volume):
        harness.handle(event(number, f"other{number}"))
        harness.transport.answer(503)
    while harness.post:
        harness.acknowledge()
    for number in range(100, 103):
        harness.handle(event(number))
    assert posted(harness) == [(OVERFLOW, f"e{number}") for number in range(100, 103)]
    records = [harness.index_in_line(harness.acknowledge().record(), tracker) for _ in range(3)]
    harness.take_in_line(records[0], tracker)
    assert harness.post == []
    assert harness.next_in_line(tracker) == records[0].offset
    harness.clock.advance(CIRCUIT.open_for)
    harness.take_in_line(records[0], tracker)
    harness.transport.answer(200)
    assert sent(harness)[-1] == "e100"
    assert harness.next_in_line(tracker) == records[1].offset


def test_at_the_end_of_an_assignment_all_is_written_in_order() -> None:
    """At the end of an assignment those behind a delivery that is under way are written to the home
    of their line when it ends.
    """
    harness, _ = ordered_harness()
    for number in range(3):
        harness.handle(event(number))
    harness.handler.release(lambda _record: True)
    assert harness.post == []
    harness.handle(event(3))
    harness.transport.answer(200)
    assert posted(harness) == [(OVERFLOW, f"e{number}") for number in (1, 2, 3)]
    assert sent(harness) == ["e0"]


def test_a_deferral_at_the_end_keeps_the_order() -> None:
    """A delivery that is deferred while it is under way is written before those behind it."""
    harness, _ = ordered_harness()
    for number in range(3):
        harness.handle(event(number))
    harness.handler.defer(lambda _record: True)
    assert posted(harness) == [(OVERFLOW, f"e{number}") for number in range(3)]


async def test_those_who_wait_in_memory_are_few() -> None:
    """If too many deliveries wait behind others, intake pauses, and after a second those before
    them are deferred, and they are written behind it, those of the longest line first.
    """
    harness, _ = ordered_harness()
    harness.handler._order.max_followers = 6
    for number in range(6):
        harness.handle(event(number))
    harness.handle(event(6, user="u2"))
    assert not harness.handler.at_capacity
    harness.handle(event(7, user="u2"))
    assert harness.handler.at_capacity
    harness.clock.advance(0.9)
    await harness.handler.wait_for_capacity()
    assert harness.post == []
    harness.clock.advance(0.2)
    await harness.handler.wait_for_capacity()
    assert posted(harness) == [(OVERFLOW, f"e{number}") for number in range(6)]
    assert not harness.handler.at_capacity
    harness.transport.answer(200)
    assert sent(harness) == ["e0", "e6"]


def test_a_burst_of_one_user_is_sent_once() -> None:
    """A delivery whose answer is 200 counts, however many events of its user came meanwhile: it is
    neither sent again nor does its user wait for a retry's delay.
    """
    harness, _ = ordered_harness()
    for number in range(700):
        harness.handle(event(number))
    harness.transport.answer(200)
    assert harness.count("deliveries_total", hook="h1", outcome="delivered") == 1.0
    assert harness.post == []


def raised_harness(*ends: int) -> tuple[PipelineHarness, list[OverflowTracker]]:
    """A process whose overflow topic has two partitions now, read to these ends."""
    harness = PipelineHarness(HOOK)
    lines = harness.overflow.lines
    lines.assign({0, 1}, 2)
    homes = [harness.assign_overflow(number) for number in (0, 1)]
    for number, end in enumerate(ends):
        lines.set_end(number, end, lines.unsure()[number])
    return harness, homes


def failed_records(number: int, partitions: int) -> list[FakeRecord]:
    """What a user's deliveries left in the overflow topic, of source partition 1."""
    harness = PipelineHarness(HOOK)
    harness.assign_home(partitions=partitions)
    for each in range(number):
        harness.handle(event(each, partition=1))
    if partitions == 1:
        harness.transport.answer(503)
    return [harness.acknowledge().record() for _ in range(number)]


def test_a_line_in_its_old_home_goes_on_after_more_partitions() -> None:
    """What waits in a partition of the overflow topic goes on there after the topic got more
    partitions, though new deliveries of its user have another place.
    """
    [waiting] = failed_records(1, partitions=1)
    harness, [old, _] = raised_harness(1, 0)
    harness.handle(event(1, partition=1))
    harness.index_in_line(waiting, old)
    harness.transport.answer(200)
    harness.clock.advance(100.0)
    assert harness.next_in_line(old) == 0


def test_lines_of_one_user_in_two_homes_are_apart() -> None:
    """Records of a user in two partitions of the overflow topic are each found in their own."""
    [first], later = failed_records(1, partitions=1), failed_records(3, partitions=2)
    harness, [old, new] = raised_harness(1, 3)
    harness.index_in_line(first, old)
    for each in later:
        harness.index_in_line(each, new)
    harness.clock.advance(100.0)
    assert harness.next_in_line(old) == 0
    harness.take_in_line(first, old)
    harness.transport.answer(200)
    assert harness.next_in_line(old) == -1
    assert harness.next_in_line(new) == 0


def test_a_hook_that_lost_its_order_sends_its_lines_to_their_end() -> None:
    """A delivery with a line is sent in its line though its hook keeps no order now, and new ones
    are not held back.
    """
    harness, tracker, (first, _) = failed_line()
    harness.use(make_hook("h1"))
    harness.handle(event(2))
    assert sent(harness)[-1] == "e2"
    harness.take_in_line(first, tracker)
    assert sent(harness)[-1] == "e0"
    assert harness.next_in_line(tracker) == -1
    harness.transport.answer(503, index=1)
    assert posted(harness) == [(OVERFLOW, "e0")]


def test_a_delivery_from_before_the_order_takes_its_turn() -> None:
    """A delivery of a retry topic whose hook keeps an order now waits for those of its user."""
    harness = PipelineHarness(make_hook("h1"))
    harness.assign_home()
    harness.handle(event(0))
    harness.transport.answer(503)
    old = harness.acknowledge()
    assert old.outgoing.topic == RETRY_TOPICS[0].topic
    harness.use(HOOK)
    harness.handle(event(1))
    harness.handle(old.record(offset=0))
    assert sent(harness) == ["e0", "e1"]
    harness.transport.answer(200)
    assert sent(harness)[2:] == ["e0"]


def test_an_unknown_hook_keeps_its_line() -> None:
    """A delivery whose hook this replica does not know waits in its line, and holds back those
    behind it.
    """
    harness, tracker, (first, _) = failed_line()
    harness.use()
    harness.take_in_line(first, tracker)
    assert posted(harness) == [(OVERFLOW, "e0")]
    assert harness.post[0].metadata.order.endswith(" first")
    harness.index_in_line(harness.acknowledge().record(), tracker)
    assert harness.next_in_line(tracker) == -1


@pytest.mark.parametrize("others_know", [True, False])
def test_a_line_outlasts_a_canary(others_know: bool) -> None:
    """A delivery whose hook the owner of its place does not know is given up after ten minutes, but
    not as long as other replicas, which know the hook, write more of them.
    """
    harness, tracker, (head, *_) = failed_line()
    harness.use()
    other = PipelineHarness(HOOK)
    for number in range(3, 16):
        harness.take_in_line(head, tracker)
        if harness.post[-1].outgoing.topic == DEAD:
            break
        head = harness.index_in_line(harness.acknowledge().record(), tracker)
        if others_know:
            other.handle(event(number))
            now = int(harness.clock.now() * 1000)
            harness.index_in_line(other.acknowledge().record(timestamp=now), tracker)
        harness.clock.advance(60.0)
        while harness.next_in_line(tracker) != head.offset:
            harness.clock.advance(30.0)
    assert bool(harness.post) != others_know


def test_a_lost_source_partition_frees_its_lines() -> None:
    """Deliveries of a partition that another replica has by now hold back nothing here."""
    harness, tracker = ordered_harness()
    for number in range(3):
        source = harness.handle(event(number))
    source.revoked = True
    harness.handler.on_assigned({"event": (0, 1), "push-click": (1, 1), OVERFLOW: (1, 1)})
    assert len(harness.overflow.lines) == 0
    assert tracker.committable == 0
