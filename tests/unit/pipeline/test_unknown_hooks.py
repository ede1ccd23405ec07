"""Deliveries whose hook a replica does not know or has switched off: which wait, and how long."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.events.decode import Decoder
from consumer.records.delivery_metadata import DeliveryMetadata
from consumer.stream.retry_topic import UNKNOWN_HOOK_SECONDS, unknown_hook_topic
from support.fakes import FakeRecord, make_hook, make_record
from support.pipeline_harness import DEAD, EVENT, GROUP, LANES, PipelineHarness, Published

DELAYS = (10.0, 60.0, 600.0, 3_600.0, 21_600.0)


def _deferred() -> Published:
    """A delivery of the hook `new`, as another replica deferred it."""
    other = PipelineHarness(make_hook("new"))
    other.handle(make_record(EVENT, key=b"k"))
    other.transport.answer(503)
    return other.acknowledge()


def _return(line: PipelineHarness, posted: Published) -> Published:
    """What a replica writes when the record is due and read."""
    metadata = posted.metadata
    assert metadata.not_before is not None
    line.clock.advance(metadata.not_before - line.clock.now())
    line.handle(posted.record(timestamp=int(line.clock.now() * 1000)))
    return line.acknowledge()


def test_an_unknown_hook_costs_its_delivery_no_attempt() -> None:
    """A deferred delivery whose hook this replica does not know goes back to a retry topic with all
    it had, and says since when the hook has been unknown.
    """
    line, deferred = PipelineHarness(make_hook("old")), _deferred()
    again = _return(line, deferred)
    assert again.outgoing.topic == LANES[0].topic
    assert again.outgoing.value == deferred.outgoing.value
    assert again.outgoing.key == b"k"
    assert again.metadata == replace(
        deferred.metadata,
        reason="hook_removed",
        not_before=line.clock.now() + LANES[0].delay,
        unknown_since=line.clock.now(),
    )
    assert line.transport.sent == []
    assert line.count("deliveries_total", hook="", outcome="retried") == 1.0


def test_a_hook_that_stays_unknown_is_removed_after_ten_minutes() -> None:
    """A delivery whose hook no replica knows is a dead letter `hook_removed` after ten minutes, and
    few records are written until then.
    """
    line, posted = PipelineHarness(), _deferred()
    began, written = line.clock.now(), 0
    while posted.outgoing.topic != DEAD:
        posted = _return(line, posted)
        written += 1
    waited = line.clock.now() - began
    assert UNKNOWN_HOOK_SECONDS <= waited <= UNKNOWN_HOOK_SECONDS * 1.2
    assert written <= 15  # with topics of 10 s and 1 min
    assert posted.metadata == replace(
        _deferred().metadata, reason="hook_removed", not_before=None, detail=posted.metadata.detail
    )
    assert line.count("dead_letters_total", hook="", reason="hook_removed") == 1.0


def test_a_replica_that_knows_the_hook_begins_anew() -> None:
    """The time without a hook counts only as long as every replica that reads the delivery does not
    know it.
    """
    stranger, friend = PipelineHarness(), PipelineHarness(make_hook("new"))
    unknown = _return(stranger, _deferred())
    friend.handle(unknown.record())
    friend.transport.answer(503)
    (again,) = friend.post
    assert again.metadata.unknown_since is None
    assert again.metadata.attempts == 2


def test_a_hook_that_another_replica_uses_all_the_time_is_not_removed() -> None:
    """As long as replicas that know the hook defer deliveries of it, none that this one reads is
    given up: a canary may run for an hour.
    """
    line, posted = PipelineHarness(), _deferred()
    began = line.clock.now()
    while line.clock.now() - began < 3_600.0:
        posted = _return(line, posted)
        assert posted.outgoing.topic != DEAD
        line.handle(_deferred().record(timestamp=int(line.clock.now() * 1000), offset=1))
        line.acknowledge()
    began = line.clock.now()
    while posted.outgoing.topic != DEAD:
        posted = _return(line, posted)
    assert line.clock.now() - began <= UNKNOWN_HOOK_SECONDS * 1.2


def test_an_unknown_hooks_delivery_may_go_to_any_partition() -> None:
    """A delivery of an unknown hook may go to any partition, since the one of its key belongs to a
    replica without the hook.
    """
    deferred = _deferred()
    assert not deferred.outgoing.spread
    assert _return(PipelineHarness(), deferred).outgoing.spread


@pytest.mark.parametrize("since", [-1e12, 1.9e9])
def test_a_clock_that_is_wrong_decides_at_once_or_begins_now(since: float) -> None:
    """A time of a wrong clock, in the future, does not make a delivery wait for ever."""
    line = PipelineHarness()
    metadata = replace(_deferred().metadata, unknown_since=since)
    line.handle(FakeRecord(b"{}", LANES[0].topic, headers=metadata.headers(GROUP)))
    (posted,) = line.post
    if since < 0:
        assert posted.metadata.reason == "hook_removed"
        assert posted.outgoing.topic == DEAD
    else:
        assert posted.metadata.unknown_since == line.clock.now()


def test_a_hook_that_another_replica_has_on_is_not_disabled_here() -> None:
    """A delivery that was deferred after this replica had read its hook as off waits like one of an
    unknown hook, and is `disabled` after ten minutes.
    """
    line = PipelineHarness(make_hook("new", enabled=False))
    posted = _deferred()
    began = line.clock.now()
    posted = _return(line, posted)
    assert posted.outgoing.topic == LANES[0].topic
    line.use(make_hook("new", enabled=False), make_hook("other"))  # a reload changes nothing
    while posted.outgoing.topic != DEAD:
        posted = _return(line, posted)
    assert line.clock.now() - began >= UNKNOWN_HOOK_SECONDS
    assert posted.metadata.reason == "disabled"
    assert line.count("dead_letters_total", hook="new", reason="disabled") == 1.0


def test_a_mapped_source_that_is_unknown_here_is_read_by_no_other_shape() -> None:
    """A delivery whose event only the `fields` of its source tell how to read waits for a replica
    that has that source, and is a dead letter `undecodable` after ten minutes.
    """
    newer = PipelineHarness(make_hook("h1"), legacy=Decoder("event", {"id": "key"}))
    newer.handle(make_record({"key": "e1", "id": "wrong"}, topic="legacy"))
    newer.transport.answer(503)
    deferred = newer.acknowledge()
    line, posted = PipelineHarness(make_hook("h1")), deferred
    began = line.clock.now()
    while posted.outgoing.topic != DEAD:
        posted = _return(line, posted)
    assert line.transport.sent == []
    assert line.clock.now() - began >= UNKNOWN_HOOK_SECONDS
    assert posted.metadata.reason == "undecodable"
    newer.handle(deferred.record())
    assert len(newer.transport.sent) == 2


def test_what_ends_after_its_hook_was_switched_off_is_not_deferred() -> None:
    """A failed attempt whose hook was switched off meanwhile is not deferred."""
    line = PipelineHarness(make_hook("h1"))
    line.handle(make_record(EVENT))
    line.use(make_hook("h1", enabled=False))
    line.transport.answer(503)
    (posted,) = line.post
    assert (posted.outgoing.topic, posted.metadata.reason) == (DEAD, "disabled")


def test_the_waits_end_close_to_the_deadline() -> None:
    """With the default delays the waits for an unknown hook are ten seconds, a minute, and ten
    minutes.
    """
    now, numbers = 0.0, list[int]()
    while now < UNKNOWN_HOOK_SECONDS:
        numbers.append(unknown_hook_topic(DELAYS, now, UNKNOWN_HOOK_SECONDS - now))
        now += DELAYS[numbers[-1]] * 1.1
    assert numbers == [0, 1, 2]


@given(
    delays=st.lists(st.integers(1, 86_400), min_size=1, max_size=20, unique=True).map(sorted),
    waited=st.floats(0, 1e9),
    left=st.floats(0, UNKNOWN_HOOK_SECONDS, exclude_min=True),
)
def test_no_wait_passes_the_deadline_by_far(delays: list[int], waited: float, left: float) -> None:
    """Any wait for an unknown hook but the shortest ends before twice the time that was left."""
    number = unknown_hook_topic(delays, waited, left)
    assert number == 0 or delays[number] <= 2 * left


def test_a_record_without_a_group_or_hook_is_our_own() -> None:
    """A record without a group, as older versions wrote it, is our own."""
    line = PipelineHarness(make_hook("h1"))
    metadata = DeliveryMetadata("503", "event", 0, 0, 0, "event", hook="h1")
    record = FakeRecord(b'{"id": "e1"}', LANES[0].topic, headers=metadata.headers())
    assert not line.handler.is_foreign(record)
    line.handle(record)
    assert len(line.transport.sent) == 1
