"""Deliveries that go by a retry topic: what they keep, and how they go on."""

from dataclasses import replace

import pytest

from consumer.records.delivery_metadata import DeliveryMetadata, Replay
from support.fakes import (
    FakeRecord,
    make_hook,
    make_record,
    make_value,
)
from support.pipeline_harness import DEAD, EVENT, RETRY_TOPICS, PipelineHarness


def test_a_deferred_delivery_keeps_what_it_needs() -> None:
    """A deferred delivery keeps key and value unchanged and the rest in headers, and counts once
    the broker has it.
    """
    harness = PipelineHarness(make_hook("h1"))
    record = make_record(EVENT, key=b"k", offset=7, timestamp=1_799_999_999_500)
    tracker = harness.handle(record)
    harness.transport.answer(503)
    (posted,) = harness.post
    assert (posted.outgoing.key, posted.outgoing.value) == (b"k", record.value)
    assert posted.metadata == DeliveryMetadata(
        reason="503",
        topic="event",
        partition=0,
        offset=7,
        timestamp=1_799_999_999_500,
        trigger="event",
        delivery_id="e1:h1",
        hook="h1",
        attempts=1,
        last_status="503",
        first_failed_at=harness.clock.now(),
        not_before=harness.clock.now() + 10.0,
    )
    assert tracker.committable == 7
    assert harness.count("deliveries_total", hook="h1", outcome="retried") == 0.0
    harness.acknowledge()
    assert tracker.committable == 8
    assert harness.count("deliveries_total", hook="h1", outcome="retried") == 1.0


def test_a_retry_goes_on_where_it_was() -> None:
    """A retry goes on with the same id, its attempts and its first failure, takes the next retry
    topic, and is delivered.
    """
    harness = PipelineHarness(make_hook("h1"))
    harness.handle(make_record(EVENT, offset=7))
    harness.transport.answer(503)
    first = harness.acknowledge()
    harness.clock.advance(12.0)
    tracker = harness.handle(first.record(offset=70, timestamp=1_800_000_011_000))
    harness.transport.answer(503)
    second = harness.acknowledge()
    assert tracker.committable == 71
    assert second.outgoing.topic == RETRY_TOPICS[1].topic
    assert second.metadata == replace(
        first.metadata, attempts=2, not_before=harness.clock.now() + 60.0
    )
    harness.handle(second.record(offset=80))
    harness.transport.answer(200)
    assert harness.post == []
    ids = {line for request in harness.transport.sent for line in request.headers[1:2]}
    assert ids == {b"webhook-id: e1:h1"}


def test_a_retried_event_without_id_or_time_keeps_those_of_its_original_record() -> None:
    """A retried event without id or time keeps those of its original record."""
    harness = PipelineHarness(make_hook("h1", parameters=[("id", make_value("event", "id"))]))
    harness.handle(make_record({}, offset=7, timestamp=1_799_999_990_000))
    harness.transport.answer(503)
    harness.handle(harness.acknowledge().record(offset=70, timestamp=1_800_000_099_000))
    assert {request.url for request in harness.transport.sent} == {
        "https://receiver.example/hook?id=event-0-7"
    }
    harness.transport.answer(200)
    assert harness.count("delivery_latency_seconds_sum", hook="h1") == pytest.approx(10.0)


def test_a_retry_is_sent_as_the_hook_is_defined_now() -> None:
    """A retry is sent as the hook is defined now."""
    harness = PipelineHarness(make_hook("h1", uri="https://receiver.example/wrong"))
    harness.handle(make_record(EVENT))
    harness.transport.answer(503)
    harness.use(make_hook("h1", uri="https://receiver.example/right"))
    harness.handle(harness.acknowledge().record())
    assert harness.transport.sent[-1].url == "https://receiver.example/right"


def test_a_retry_whose_hook_was_switched_off_is_a_dead_letter() -> None:
    """A delivery that was deferred before its hook was switched off is a dead letter with its whole
    history, and without an attempt.
    """
    harness = PipelineHarness(make_hook("h1"))
    harness.handle(make_record(EVENT, key=b"k"))
    harness.transport.answer(503)
    deferred = harness.acknowledge()
    harness.use(make_hook("h1", enabled=False))
    tracker = harness.handle(deferred.record())
    assert tracker.committable == 0
    posted = harness.acknowledge()
    assert tracker.committable == 1
    assert (posted.outgoing.topic, posted.outgoing.key) == (DEAD, b"k")
    assert posted.metadata == replace(deferred.metadata, reason="disabled", not_before=None)
    assert harness.count("dead_letters_total", hook="h1", reason="disabled") == 1.0
    assert len(harness.transport.sent) == 1


def test_a_foreign_record_on_a_retry_topic_is_dead_lettered() -> None:
    """A foreign record on a retry topic is dead-lettered without a hook, and nothing is sent."""
    harness = PipelineHarness(make_hook("h1"))
    tracker = harness.handle(FakeRecord(b"{}", RETRY_TOPICS[0].topic, headers=[("trace", b"\xff")]))
    posted = harness.acknowledge()
    assert (posted.outgoing.topic, posted.metadata.reason) == (DEAD, "undecodable")
    assert tracker.committable == 1
    assert harness.transport.sent == []


def test_a_retry_without_a_delivery_id_gets_that_of_its_event_and_hook() -> None:
    """A retry without a delivery id gets that of its event and hook, by which receivers recognise
    it.
    """
    harness = PipelineHarness(make_hook("h1"))
    metadata = DeliveryMetadata("503", "event", 0, 0, 0, "event", hook="h1")
    harness.handle(FakeRecord(b'{"id": "e1"}', RETRY_TOPICS[0].topic, headers=metadata.headers()))
    (request,) = harness.transport.sent
    assert b"webhook-id: e1:h1" in request.headers
    harness.transport.answer(404)
    assert harness.post[0].metadata.delivery_id == "e1:h1"


def test_a_retry_that_no_longer_decodes_keeps_its_delivery() -> None:
    """A retry that no longer decodes is a dead letter with its delivery, so a replay can go on with
    it.
    """
    harness = PipelineHarness(make_hook("h1"))
    harness.handle(make_record(EVENT))
    harness.transport.answer(503)
    deferred = harness.acknowledge()
    harness.handle(deferred.record(value=b"[]"))
    posted = harness.acknowledge()
    assert posted.metadata.reason == "undecodable"
    assert (posted.metadata.delivery_id, posted.metadata.hook) == ("e1:h1", "h1")


@pytest.mark.parametrize(
    ("trigger", "sent"), [("push_click", True), ("geofence", True), ("nothing", False)]
)
def test_a_retry_of_a_topic_that_is_no_source_any_more(trigger: str, sent: bool) -> None:
    """A retry of a topic that is no source any more is decoded by its trigger."""
    harness = PipelineHarness(make_hook("h1"))
    metadata = DeliveryMetadata("503", "old", 0, 0, 0, trigger, delivery_id="e1:h1", hook="h1")
    harness.handle(FakeRecord(b'{"id": "e1"}', RETRY_TOPICS[0].topic, headers=metadata.headers()))
    assert bool(harness.transport.sent) is sent
    assert [posted.metadata.reason for posted in harness.post] == ([] if sent else ["undecodable"])


def test_a_replay_stays_in_the_headers_of_later_records() -> None:
    """The replay of a delivery that fails again stays in the headers of its later records."""
    harness = PipelineHarness(make_hook("h1"))
    replay = Replay("hookstream.dead-letter/0/5", 1_800_000_000.0)
    metadata = DeliveryMetadata(
        "503", "event", 0, 0, 0, "event", delivery_id="e1:h1", hook="h1", replay=replay
    )
    harness.handle(FakeRecord(b'{"id": "e1"}', RETRY_TOPICS[0].topic, headers=metadata.headers()))
    harness.transport.answer(404)
    assert harness.post[0].metadata.replay == replay


def test_one_too_large_to_defer_is_dead_lettered_without_its_value() -> None:
    """A record that is too large to defer is dead-lettered without its value, names its source, and
    is settled once the broker has it.
    """
    harness = PipelineHarness(make_hook("h1"))
    tracker = harness.handle(make_record(EVENT, offset=7))
    harness.transport.answer(503)
    smaller = harness.outbox._queue.popleft().smaller()
    assert smaller is not None
    harness.outbox.send(smaller)
    posted = harness.acknowledge()
    assert (posted.outgoing.topic, posted.outgoing.value) == (DEAD, b"")
    assert (posted.metadata.reason, posted.metadata.source) == ("too_large", "event/0/7")
    assert posted.metadata.detail.startswith("too large")
    assert harness.count("dead_letters_total", hook="h1", reason="too_large") == 1.0
    assert tracker.committable == 8
