"""Deliveries that go by a retry lane: what they keep, and how they go on."""

from dataclasses import replace

import pytest

from consumer.stream.passport import Passport, Replay
from support.fakes import (
    FakeRecord,
    make_hook,
    make_record,
    make_value,
)
from support.line import DEAD, EVENT, LANES, Line


def test_a_parked_delivery_keeps_what_it_needs() -> None:
    """Key and value unchanged; the rest in headers. It counts once the broker has it."""
    line = Line(make_hook("h1"))
    record = make_record(EVENT, key=b"k", offset=7, timestamp=1_799_999_999_500)
    partition = line.take(record)
    line.transport.answer(503)
    (posted,) = line.post
    assert (posted.letter.key, posted.letter.value) == (b"k", record.value)
    assert posted.passport == Passport(
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
        first_failed_at=line.clock.now(),
        not_before=line.clock.now() + 10.0,
    )
    assert partition.committable == 7
    assert line.count("deliveries_total", hook="h1", outcome="retried") == 0.0
    line.acknowledge()
    assert partition.committable == 8
    assert line.count("deliveries_total", hook="h1", outcome="retried") == 1.0


def test_a_retry_goes_on_where_it_was() -> None:
    """Same id, attempts counted on, first failure kept, the next lane; then delivered."""
    line = Line(make_hook("h1"))
    line.take(make_record(EVENT, offset=7))
    line.transport.answer(503)
    first = line.acknowledge()
    line.clock.advance(12.0)
    lane = line.take(first.record(offset=70, timestamp=1_800_000_011_000))
    line.transport.answer(503)
    second = line.acknowledge()
    assert lane.committable == 71
    assert second.letter.topic == LANES[1].topic
    assert second.passport == replace(
        first.passport, attempts=2, not_before=line.clock.now() + 60.0
    )
    line.take(second.record(offset=80))
    line.transport.answer(200)
    assert line.post == []
    ids = {line for request in line.transport.sent for line in request.headers[1:2]}
    assert ids == {b"webhook-id: e1:h1"}


def test_a_retried_event_without_id_or_time_keeps_those_of_its_first_record() -> None:
    """Its id is made of the first place; a replay would else be another delivery."""
    line = Line(make_hook("h1", parameters=[("id", make_value("event", "id"))]))
    line.take(make_record({}, offset=7, timestamp=1_799_999_990_000))
    line.transport.answer(503)
    line.take(line.acknowledge().record(offset=70, timestamp=1_800_000_099_000))
    assert {request.url for request in line.transport.sent} == {
        "https://receiver.example/hook?id=event-0-7"
    }
    line.transport.answer(200)
    assert line.count("delivery_latency_seconds_sum", hook="h1") == pytest.approx(10.0)


def test_a_retry_is_sent_as_the_hook_is_defined_now() -> None:
    """A mended URI helps what waits."""
    line = Line(make_hook("h1", uri="https://receiver.example/wrong"))
    line.take(make_record(EVENT))
    line.transport.answer(503)
    line.use(make_hook("h1", uri="https://receiver.example/right"))
    line.take(line.acknowledge().record())
    assert line.transport.sent[-1].url == "https://receiver.example/right"


def test_a_retry_whose_hook_was_switched_off_is_a_dead_letter() -> None:
    """A delivery that was deferred before its hook was switched off is a dead letter with its whole
    story, and without an attempt.
    """
    line = Line(make_hook("h1"))
    line.take(make_record(EVENT, key=b"k"))
    line.transport.answer(503)
    parked = line.acknowledge()
    line.use(make_hook("h1", enabled=False))
    lane = line.take(parked.record())
    assert lane.committable == 0
    posted = line.acknowledge()
    assert lane.committable == 1
    assert (posted.letter.topic, posted.letter.key) == (DEAD, b"k")
    assert posted.passport == replace(parked.passport, reason="disabled", not_before=None)
    assert line.count("dead_letters_total", hook="h1", reason="disabled") == 1.0
    assert len(line.transport.sent) == 1


def test_a_foreign_record_on_a_retry_topic_is_buried() -> None:
    """Somebody else wrote it: no hook is known, nothing is sent."""
    line = Line(make_hook("h1"))
    lane = line.take(FakeRecord(b"{}", LANES[0].topic, headers=[("trace", b"\xff")]))
    posted = line.acknowledge()
    assert (posted.letter.topic, posted.passport.reason) == (DEAD, "undecodable")
    assert lane.committable == 1
    assert line.transport.sent == []


def test_a_retry_without_a_delivery_id_gets_that_of_its_event_and_hook() -> None:
    """Somebody else wrote the record: receivers still know what they saw already."""
    line = Line(make_hook("h1"))
    passport = Passport("503", "event", 0, 0, 0, "event", hook="h1")
    line.take(FakeRecord(b'{"id": "e1"}', LANES[0].topic, headers=passport.headers()))
    (request,) = line.transport.sent
    assert b"webhook-id: e1:h1" in request.headers
    line.transport.answer(404)
    assert line.post[0].passport.delivery_id == "e1:h1"


def test_a_retry_that_no_longer_decodes_keeps_its_delivery() -> None:
    """The source's mapping changed; a replay after the mend goes on with it."""
    line = Line(make_hook("h1"))
    line.take(make_record(EVENT))
    line.transport.answer(503)
    parked = line.acknowledge()
    line.take(parked.record(value=b"[]"))
    posted = line.acknowledge()
    assert posted.passport.reason == "undecodable"
    assert (posted.passport.delivery_id, posted.passport.hook) == ("e1:h1", "h1")


@pytest.mark.parametrize(
    ("trigger", "sent"), [("push_click", True), ("geofence", True), ("nothing", False)]
)
def test_a_retry_of_a_topic_that_is_no_source_any_more(trigger: str, sent: bool) -> None:
    """Its trigger tells how to read it."""
    line = Line(make_hook("h1"))
    passport = Passport("503", "old", 0, 0, 0, trigger, delivery_id="e1:h1", hook="h1")
    line.take(FakeRecord(b'{"id": "e1"}', LANES[0].topic, headers=passport.headers()))
    assert bool(line.transport.sent) is sent
    assert [posted.passport.reason for posted in line.post] == ([] if sent else ["undecodable"])


def test_a_replay_is_told_on_all_further_ways() -> None:
    """A delivery that fails again tells that a person sent it back."""
    line = Line(make_hook("h1"))
    replay = Replay("hookstream.dead-letter/0/5", 1_800_000_000.0)
    passport = Passport(
        "503", "event", 0, 0, 0, "event", delivery_id="e1:h1", hook="h1", replay=replay
    )
    line.take(FakeRecord(b'{"id": "e1"}', LANES[0].topic, headers=passport.headers()))
    line.transport.answer(404)
    assert line.post[0].passport.replay == replay


def test_one_too_large_to_park_is_buried_without_its_value() -> None:
    """Its source tells where it can be read; it is settled once the broker has that."""
    line = Line(make_hook("h1"))
    partition = line.take(make_record(EVENT, offset=7))
    line.transport.answer(503)
    line.handover._queue.popleft().too_large()
    posted = line.acknowledge()
    assert (posted.letter.topic, posted.letter.value) == (DEAD, b"")
    assert (posted.passport.reason, posted.passport.source) == ("too_large", "event/0/7")
    assert posted.passport.detail.startswith("too large")
    assert line.count("dead_letters_total", hook="h1", reason="too_large") == 1.0
    assert partition.committable == 8
