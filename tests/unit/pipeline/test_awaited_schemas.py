"""Records whose schema is not here yet: nothing happens to them until it is."""

from typing import Any

import pytest

from consumer.events.decode import Decoder
from consumer.records.record import Headers, SchemaWantedError
from support.fakes import FakeRecord, make_hook
from support.pipeline_harness import PipelineHarness, Published


class _Format:
    """A format whose schema comes late."""

    def __init__(self) -> None:
        self.is_there = False
        self.is_away = False

    def __call__(self, value: bytes | None, headers: Headers) -> dict[str, Any]:
        """See `Format`."""
        if not self.is_there:
            raise SchemaWantedError(7, 0.1, is_away=self.is_away)
        return {"id": "e1", "value": value, "headers": [*headers]}


def test_a_record_and_its_deferred_delivery_wait() -> None:
    """A record whose schema is not here yet is neither received nor counted, and is then taken as
    any other; so is its deferred delivery, which is decoded with all its headers.
    """
    late = _Format()
    harness = PipelineHarness(make_hook("h1"), event=Decoder("event", None, late))
    record = FakeRecord(b"raw", headers=[("ce_id", b"1")])
    for _ in range(3):
        with pytest.raises(SchemaWantedError):
            harness.handle(record)
    tracker = harness.partitions["event"]
    assert (tracker.next_offset, tracker.unsettled, harness.transport.sent) == (0, 0, [])
    late.is_there = True
    harness.handle(record)
    harness.transport.answer(503)
    deferred = harness.acknowledge()
    assert tracker.committable == 1
    late.is_there = False
    with pytest.raises(SchemaWantedError):
        harness.handle(deferred.record())
    retry = harness.partitions[deferred.outgoing.topic]
    assert (retry.next_offset, retry.unsettled) == (0, 0)
    late.is_there = True
    harness.handle(deferred.record())
    harness.transport.answer(200)
    assert (retry.committable, retry.unsettled) == (1, 0)
    assert harness.count("events_total", trigger="event", result="matched") == 1.0


def test_a_deferred_delivery_does_not_hold_its_retry_topic_while_the_registry_is_away() -> None:
    """A deferred delivery whose schema the registry does not give waits longer, with the same
    attempts, and not for ever longer; it is made when the schema is there. A new record waits.
    """
    late = _Format()
    late.is_there = True
    harness = PipelineHarness(make_hook("h1"), event=Decoder("event", None, late))
    harness.handle(FakeRecord(b"raw", headers=[("ce_id", b"1")]))
    harness.transport.answer(503)
    deferred = harness.acknowledge()
    late.is_there, late.is_away = False, True
    for _ in range(3):
        before, deferred = deferred, harness_again(harness, deferred)
        assert deferred.outgoing.topic == "hookstream.retry.1m"
        assert deferred.metadata.not_before == harness.clock.now() + 60.0
        assert deferred.metadata.attempts == before.metadata.attempts
    with pytest.raises(SchemaWantedError):
        harness.handle(FakeRecord(b"raw", offset=1))
    late.is_there = True
    harness.handle(deferred.record(offset=3))
    harness.transport.answer(200)
    assert harness.partitions[deferred.outgoing.topic].unsettled == 0


def harness_again(harness: PipelineHarness, deferred: Published) -> Published:
    """Read a deferred delivery, which is published again."""
    harness.handle(deferred.record())
    return harness.acknowledge()
