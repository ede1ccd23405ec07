"""Deliveries that go by the overflow topic: when they are written, and how they go on."""

import pytest

from consumer.delivery.http.transport import AttemptResult
from consumer.hooks.table import Hook
from consumer.records.delivery_metadata import DeliveryMetadata
from support.fakes import FakeRecord, make_hook, make_record
from support.pipeline_harness import DEAD, EVENT, OVERFLOW, RETRY_TOPICS, PipelineHarness
from support.scheduler_harness import CIRCUIT, POLICY

HOOK = make_hook("h1")
PAUSE = AttemptResult(status=503, retry_after=900.0)


def paused_harness() -> PipelineHarness:
    """A pipeline whose receiver asked for a pause of a quarter of an hour."""
    harness = PipelineHarness(HOOK)
    harness.handle(make_record({"id": "first"}))
    harness.transport.answer(PAUSE)
    harness.acknowledge()
    return harness


def test_an_overflowed_delivery_keeps_what_it_needs() -> None:
    """An overflowed delivery keeps key and value unchanged and the rest in headers, has no due
    time, and is settled and counted once the broker has it.
    """
    harness = paused_harness()
    harness.assign_overflow(partition=2)
    record = make_record(EVENT, key=b"k", offset=7, timestamp=1_799_999_999_500)
    tracker = harness.handle(record)
    (posted,) = harness.post
    assert posted.outgoing.topic == OVERFLOW
    assert (posted.outgoing.key, posted.outgoing.value) == (b"k", record.value)
    assert posted.outgoing.partition == 2
    assert posted.metadata == DeliveryMetadata(
        reason="retry_after",
        topic="event",
        partition=0,
        offset=7,
        timestamp=1_799_999_999_500,
        trigger="event",
        delivery_id="e1:h1",
        hook="h1",
        attempts=0,
        first_failed_at=harness.clock.now(),
    )
    assert tracker.committable == 7
    assert harness.count("deliveries_total", hook="h1", outcome="overflowed") == 0.0
    harness.acknowledge()
    assert tracker.committable == 8
    assert harness.count("deliveries_total", hook="h1", outcome="overflowed") == 1.0
    assert harness.count("deliveries_total", hook="h1", outcome="retried") == 1.0


def test_a_replica_without_a_partition_writes_to_any() -> None:
    """A replica that has no partition of the overflow topic leaves the choice to the producer."""
    harness = paused_harness()
    harness.handle(make_record(EVENT, offset=1))
    assert harness.post[0].outgoing.partition is None
    assert harness.overflow.behind == {}


def test_what_overflows_at_a_revocation_goes_to_any_partition() -> None:
    """What overflows because its assignment ends goes to any partition, since this replica's are
    about to leave as well.
    """
    harness = PipelineHarness(make_hook("h1"))
    harness.assign_overflow()
    for offset in range(20):
        tracker = harness.handle(make_record({"id": f"e{offset}"}, offset=offset))
    harness.handler.release(lambda record: record.tracker is tracker)
    assert len(harness.post) == 20 - len(harness.transport.open)
    assert {posted.metadata.reason for posted in harness.post} == {"stopped"}
    assert {posted.outgoing.partition for posted in harness.post} == {None}


def test_an_event_goes_behind_the_hooks_earlier_ones() -> None:
    """An event whose hook has deliveries in the overflow topic goes behind them though its endpoint
    is free, and other hooks' deliveries of the event start.
    """
    harness = PipelineHarness(HOOK, make_hook("h2"))
    tracker = harness.assign_overflow()
    waiting = DeliveryMetadata("crowded", "event", 0, 0, 0, "event", "e0:h1", "h1")
    harness.index(FakeRecord(b'{"id": "e0"}', headers=waiting.headers()), tracker)
    harness.handle(make_record(EVENT))
    assert [posted.metadata.delivery_id for posted in harness.post] == ["e1:h1"]
    assert harness.post[0].metadata.reason == "behind"
    assert [b"webhook-id: e1:h2" in request.headers for request in harness.transport.sent] == [True]
    assert harness.overflow.behind == {"h1": 2}


def overflowed(harness: PipelineHarness) -> FakeRecord:
    """The record of one delivery that overflowed, and was acknowledged."""
    harness.handle(make_record(EVENT, key=b"k", offset=1))
    return harness.acknowledge().record()


def test_a_delivery_that_cannot_start_is_put_back_without_a_write() -> None:
    """A delivery out of the overflow topic that cannot start waits where it was: nothing is written
    and nothing is settled.
    """
    harness = paused_harness()
    tracker = harness.assign_overflow()
    record = harness.index(overflowed(harness), tracker)
    assert harness.overflow.behind == {"h1": 1}
    for _ in range(3):
        harness.take(record, tracker)
        assert harness.post == []
        assert (tracker.unsettled, tracker.committable, tracker.waits(0)) == (0, 0, True)
        assert harness.overflow.behind == {"h1": 1}
    harness.clock.advance(901.0)
    harness.take(record, tracker)
    harness.transport.answer(200)
    assert tracker.committable == 1
    assert harness.overflow.behind == {}


def test_attempts_of_before_cause_no_write() -> None:
    """A delivery out of the overflow topic that cannot start is put back whatever attempts it had
    before it went there.
    """
    harness = paused_harness()
    tracker = harness.assign_overflow()
    metadata = DeliveryMetadata("behind", "event", 0, 0, 0, "event", "e1:h1", "h1", attempts=3)
    record = harness.index(FakeRecord(b'{"id": "e1"}', headers=metadata.headers()), tracker)
    harness.take(record, tracker)
    assert harness.post == []
    assert tracker.waits(0)


def test_a_delivery_that_was_attempted_is_written_anew() -> None:
    """A delivery out of the overflow topic that was attempted since is written again if it
    overflows, with its attempts, and its old record is settled.
    """
    harness = PipelineHarness(HOOK)
    tracker = harness.assign_overflow()
    metadata = DeliveryMetadata("crowded", "event", 0, 0, 0, "event", "e1:h1", "h1", attempts=1)
    record = FakeRecord(b'{"id": "e1"}', headers=metadata.headers())
    harness.index(record, tracker)
    harness.take(record, tracker)
    delivery = next(iter(harness.handler.scheduler._unfinished.deliveries))
    delivery.attempts = 2
    harness.router.overflowed(delivery, "circuit_open")
    posted = harness.acknowledge()
    assert (posted.outgoing.topic, posted.metadata.attempts) == (OVERFLOW, 2)
    assert tracker.committable == 1


def test_a_rejection_that_counts_for_nothing_goes_behind_the_others() -> None:
    """A delivery out of the overflow topic that its receiver rejects, as it rejects everything, has
    spent no attempt and is written behind the others: the next probe is another delivery, since
    this one may be rejected for ever.
    """
    harness = PipelineHarness(HOOK)
    tracker = harness.assign_overflow()
    for number, status in enumerate([200, *[404] * CIRCUIT.min_volume]):
        harness.handle(make_record({"id": f"e{number}"}, offset=number))
        harness.transport.answer(status)
    while harness.post:
        last = harness.acknowledge()
    assert last.metadata.reason == "refusing"
    record = harness.index(last.record(), tracker)
    harness.clock.advance(CIRCUIT.open_for)
    harness.take(record, tracker)
    harness.transport.answer(404)
    posted = harness.acknowledge()
    assert (posted.outgoing.topic, posted.metadata.attempts) == (OVERFLOW, 0)
    assert tracker.committable == 1


def test_a_delivery_that_comes_too_soon_keeps_its_place() -> None:
    """A delivery out of the overflow topic whose receiver answers 429 with a long `Retry-After` has
    spent no attempt and waits where it was: nothing is written.
    """
    harness = PipelineHarness(HOOK)
    tracker = harness.assign_overflow()
    metadata = DeliveryMetadata("crowded", "event", 0, 0, 0, "event", "e1:h1", "h1")
    record = harness.index(FakeRecord(b'{"id": "e1"}', headers=metadata.headers()), tracker)
    harness.take(record, tracker)
    harness.transport.answer(AttemptResult(status=429, retry_after=60.0))
    assert harness.post == []
    assert tracker.waits(0)


def test_a_failed_attempt_goes_to_a_retry_topic() -> None:
    """A delivery out of the overflow topic whose attempt fails goes on in a retry topic, and its
    old record is settled.
    """
    harness = PipelineHarness(HOOK)
    tracker = harness.assign_overflow()
    metadata = DeliveryMetadata("crowded", "event", 0, 0, 0, "event", "e1:h1", "h1")
    record = harness.index(FakeRecord(b'{"id": "e1"}', headers=metadata.headers()), tracker)
    harness.take(record, tracker)
    harness.transport.answer(503)
    posted = harness.acknowledge()
    assert (posted.outgoing.topic, posted.metadata.attempts) == (RETRY_TOPICS[0].topic, 1)
    assert tracker.committable == 1


def test_what_waited_too_long_is_a_dead_letter() -> None:
    """A delivery out of the overflow topic that has waited for longer than `expire_after` while its
    endpoint takes nothing is a dead letter.
    """
    harness = paused_harness()
    tracker = harness.assign_overflow()
    record = harness.index(overflowed(harness), tracker)
    harness.clock.advance(POLICY.expire_after)
    harness.handle(make_record({"id": "e2"}, topic="push-click"))
    for _ in range(CIRCUIT.min_volume):
        harness.handler.scheduler.endpoint(HOOK).circuit.failed(
            probe=False, now=harness.clock.monotonic()
        )
    harness.take(record, tracker)
    posted = harness.acknowledge()
    assert (posted.outgoing.topic, posted.metadata.reason) == (DEAD, "expired")
    assert tracker.committable == 1


def test_a_hook_that_was_switched_off_ends_what_overflows() -> None:
    """A delivery that overflows after its hook was switched off is a dead letter."""
    harness = PipelineHarness(HOOK)
    for offset in range(20):
        tracker = harness.handle(make_record({"id": f"e{offset}"}, offset=offset))
    harness.use(make_hook("h1", enabled=False))
    harness.handler.release(lambda record: record.tracker is tracker)
    assert {(p.outgoing.topic, p.metadata.reason) for p in harness.post} == {(DEAD, "disabled")}


@pytest.mark.parametrize(
    ("hooks", "topic", "reason"),
    [
        ([], RETRY_TOPICS[0].topic, "hook_removed"),
        ([make_hook("h1", enabled=False)], DEAD, "disabled"),
    ],
)
def test_the_hook_of_a_record_is_gone(hooks: list[Hook], topic: str, reason: str) -> None:
    """A record of the overflow topic whose hook is unknown here goes to a retry topic, one whose
    hook was switched off is a dead letter, and there is room for both.
    """
    harness = paused_harness()
    tracker = harness.assign_overflow()
    record = harness.index(overflowed(harness), tracker)
    harness.use(*hooks)
    if not hooks:
        assert harness.handler.room("h1", harness.clock.now())[0] > 0
    harness.take(record, tracker)
    posted = harness.acknowledge()
    assert (posted.outgoing.topic, posted.metadata.reason) == (topic, reason)
    assert tracker.committable == 1
    assert len(harness.transport.sent) == 1


def test_an_undecodable_record_on_the_overflow_topic_is_dead_lettered() -> None:
    """A record of another program on the overflow topic is dead-lettered without a hook."""
    harness = PipelineHarness(HOOK)
    tracker = harness.assign_overflow()
    record = FakeRecord(b"{}", OVERFLOW, headers=[("trace", b"\xff")])
    tracker.add(0, "", 0.0)
    harness.overflow.read(tracker, "")
    assert harness.handler.room("", 0.0)[0] > 0
    harness.overflow.taken("")
    harness.handler.handle(record, tracker)
    posted = harness.acknowledge()
    assert (posted.outgoing.topic, posted.metadata.reason) == (DEAD, "undecodable")
    assert tracker.committable == 1


def test_the_overflow_topic_counts_for_the_share_of_a_rate() -> None:
    """A replica's share of a rate limit counts its partitions of the overflow topic."""
    harness = PipelineHarness(HOOK)
    harness.handler.on_assigned({"event": (1, 2), "push-click": (0, 2), OVERFLOW: (1, 2)})
    assert harness.handler.scheduler._table.shares.hooks["event"] == 2 / 4
    assert harness.handler.scheduler._table.shares.hooks["push_click"] == 1 / 4
