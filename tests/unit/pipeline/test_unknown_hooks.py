"""Deliveries whose hook a replica does not know or has switched off: which wait, and how long."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.events.decode import Decoder
from consumer.events.formats.cloudevents import cloud_event
from consumer.records.delivery_metadata import DeliveryMetadata
from consumer.stream.retry_topic import UNKNOWN_HOOK_SECONDS, unknown_hook_topic
from support.fakes import FakeRecord, make_hook, make_record
from support.pipeline_harness import DEAD, EVENT, GROUP, RETRY_TOPICS, PipelineHarness, Published

DELAYS = (10.0, 60.0, 600.0, 3_600.0, 21_600.0)


def _deferred() -> Published:
    """A delivery of the hook `new`, as another replica deferred it."""
    other = PipelineHarness(make_hook("new"))
    other.handle(make_record(EVENT, key=b"k"))
    other.transport.answer(503)
    return other.acknowledge()


def _return(harness: PipelineHarness, posted: Published) -> Published:
    """What a replica writes when the record is due and read."""
    metadata = posted.metadata
    assert metadata.not_before is not None
    harness.clock.advance(metadata.not_before - harness.clock.now())
    harness.handle(posted.record(timestamp=int(harness.clock.now() * 1000)))
    return harness.acknowledge()


def test_an_unknown_hook_costs_its_delivery_no_attempt() -> None:
    """A deferred delivery whose hook this replica does not know goes back to a retry topic with all
    it had, and says since when the hook has been unknown.
    """
    harness, deferred = PipelineHarness(make_hook("old")), _deferred()
    again = _return(harness, deferred)
    assert again.outgoing.topic == RETRY_TOPICS[0].topic
    assert again.outgoing.value == deferred.outgoing.value
    assert again.outgoing.key == b"k"
    assert again.metadata == replace(
        deferred.metadata,
        reason="hook_removed",
        not_before=harness.clock.now() + RETRY_TOPICS[0].delay,
        unknown_since=harness.clock.now(),
    )
    assert harness.transport.sent == []
    assert harness.count("deliveries_total", hook="", outcome="retried") == 1.0


def test_a_hook_that_stays_unknown_is_removed_after_ten_minutes() -> None:
    """A delivery whose hook no replica knows is a dead letter `hook_removed` after ten minutes, and
    few records are written until then.
    """
    harness, posted = PipelineHarness(), _deferred()
    began, written = harness.clock.now(), 0
    while posted.outgoing.topic != DEAD:
        posted = _return(harness, posted)
        written += 1
    waited = harness.clock.now() - began
    assert UNKNOWN_HOOK_SECONDS <= waited <= UNKNOWN_HOOK_SECONDS * 1.2
    assert written <= 15  # with topics of 10 s and 1 min
    assert posted.metadata == replace(
        _deferred().metadata, reason="hook_removed", not_before=None, detail=posted.metadata.detail
    )
    assert harness.count("dead_letters_total", hook="", reason="hook_removed") == 1.0


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
    """No delivery of a hook is given up as long as replicas that know the hook defer deliveries of
    it: a canary may run for an hour.
    """
    harness, posted = PipelineHarness(), _deferred()
    began = harness.clock.now()
    while harness.clock.now() - began < 3_600.0:
        posted = _return(harness, posted)
        assert posted.outgoing.topic != DEAD
        harness.handle(_deferred().record(timestamp=int(harness.clock.now() * 1000), offset=1))
        harness.acknowledge()
    began = harness.clock.now()
    while posted.outgoing.topic != DEAD:
        posted = _return(harness, posted)
    assert harness.clock.now() - began <= UNKNOWN_HOOK_SECONDS * 1.2


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
    harness = PipelineHarness()
    metadata = replace(_deferred().metadata, unknown_since=since)
    harness.handle(FakeRecord(b"{}", RETRY_TOPICS[0].topic, headers=metadata.headers(GROUP)))
    (posted,) = harness.post
    if since < 0:
        assert posted.metadata.reason == "hook_removed"
        assert posted.outgoing.topic == DEAD
    else:
        assert posted.metadata.unknown_since == harness.clock.now()


def test_a_hook_that_another_replica_has_on_is_not_disabled_here() -> None:
    """A delivery that was deferred after this replica had read its hook as off waits like one of an
    unknown hook, and is `disabled` after ten minutes.
    """
    harness = PipelineHarness(make_hook("new", enabled=False))
    posted = _deferred()
    began = harness.clock.now()
    posted = _return(harness, posted)
    assert posted.outgoing.topic == RETRY_TOPICS[0].topic
    harness.use(make_hook("new", enabled=False), make_hook("other"))  # a reload changes nothing
    while posted.outgoing.topic != DEAD:
        posted = _return(harness, posted)
    assert harness.clock.now() - began >= UNKNOWN_HOOK_SECONDS
    assert posted.metadata.reason == "disabled"
    assert harness.count("dead_letters_total", hook="new", reason="disabled") == 1.0


@pytest.mark.parametrize(
    ("decoder", "document"),
    [
        (Decoder("event", {"id": "key"}), {"key": "e1", "id": "wrong"}),
        (
            Decoder("event", None, cloud_event),
            {"specversion": "1.0", "id": "e1", "source": "/s", "type": "t"},
        ),
    ],
)
def test_a_mapped_source_that_is_unknown_here_is_read_by_no_other_shape(
    decoder: Decoder, document: dict[str, str]
) -> None:
    """A delivery whose event only the `fields` or the format of its source tell how to read waits
    for a replica that has that source, and is a dead letter `undecodable` after ten minutes.
    """
    newer = PipelineHarness(make_hook("h1"), legacy=decoder)
    newer.handle(make_record(document, topic="legacy"))
    newer.transport.answer(503)
    deferred = newer.acknowledge()
    harness, posted = PipelineHarness(make_hook("h1")), deferred
    began = harness.clock.now()
    while posted.outgoing.topic != DEAD:
        posted = _return(harness, posted)
    assert harness.transport.sent == []
    assert harness.clock.now() - began >= UNKNOWN_HOOK_SECONDS
    assert posted.metadata.reason == "undecodable"
    newer.handle(deferred.record())
    assert len(newer.transport.sent) == 2


def test_what_ends_after_its_hook_was_switched_off_is_not_deferred() -> None:
    """A failed attempt whose hook was switched off meanwhile is not deferred."""
    harness = PipelineHarness(make_hook("h1"))
    harness.handle(make_record(EVENT))
    harness.use(make_hook("h1", enabled=False))
    harness.transport.answer(503)
    (posted,) = harness.post
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
    harness = PipelineHarness(make_hook("h1"))
    metadata = DeliveryMetadata("503", "event", 0, 0, 0, "event", hook="h1")
    record = FakeRecord(b'{"id": "e1"}', RETRY_TOPICS[0].topic, headers=metadata.headers())
    assert not harness.handler.is_foreign(record)
    harness.handle(record)
    assert len(harness.transport.sent) == 1
