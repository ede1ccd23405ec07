"""From a record to its settlement: the only place that joins stream and delivery."""

import asyncio
from dataclasses import replace

import pytest

from consumer.delivery.http.transport import AttemptResult
from consumer.hooks.condition_form import parse_conditions
from consumer.hooks.table import RateLimit
from consumer.reasons import ErrorKind
from consumer.records.delivery_metadata import DeliveryMetadata
from support.fakes import (
    FakeRecord,
    make_hook,
    make_record,
    make_value,
)
from support.pipeline_harness import DEAD, EVENT, RETRY_TOPICS, PipelineHarness
from support.scheduler_harness import LIMITS


def test_a_delivered_event_is_settled() -> None:
    """A delivered event is settled and counted with its latency since it occurred."""
    harness = PipelineHarness(make_hook("h1"))
    tracker = harness.handle(make_record(EVENT))
    assert tracker.committable == 0
    harness.clock.advance(1.0)
    harness.transport.answer(200)
    assert tracker.committable == 1
    assert harness.post == []
    assert harness.count("events_total", trigger="event", result="matched") == 1.0
    assert harness.count("deliveries_total", hook="h1", outcome="delivered") == 1.0
    assert harness.count("delivery_latency_seconds_sum", hook="h1") == pytest.approx(2.0)


def test_events_that_conditions_stop_are_settled_and_counted() -> None:
    """An event that a hook's conditions stop is settled without a request, and counted for the
    hook, whether the hook was found by a look-up or not.
    """
    by_value = make_hook("h1", when=parse_conditions({"user.id": "u2"}))
    by_bound = make_hook("h2", when=parse_conditions({"data.price": {"above": 5}}))
    harness = PipelineHarness(by_value, by_bound, make_hook("h3", app="bank"))
    for offset, (user, price) in enumerate((("u1", 1), ("u2", 1), ("u1", 6))):
        document = {"id": "e", "user": {"id": user}, "data": {"price": price}}
        harness.handle(make_record(document, offset=offset))
    assert harness.transport.answer_all(200) == 2
    assert harness.count("events_filtered_total", hook="h1") == 2.0
    assert harness.count("events_filtered_total", hook="h2") == 2.0
    assert harness.count("events_total", trigger="event", result="unmatched") == 1.0


@pytest.mark.parametrize(
    "time", [1_732_442_400, 0, -1, "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", None]
)
def test_an_impossible_time_counts_as_the_receipt(time: object) -> None:
    """An impossible time of an event or its record counts as the receipt."""
    harness = PipelineHarness(make_hook("h1"))
    harness.handle(make_record({"id": "e1", "occurred_at": time}, timestamp=-1))
    harness.clock.advance(1.5)
    harness.transport.answer(200)
    assert harness.count("delivery_latency_seconds_sum", hook="h1") == 1.5


def test_an_impossible_time_of_a_deferred_event_counts_as_its_first_failure() -> None:
    """An impossible time of a deferred event counts as its first failure, which its headers
    hold.
    """
    harness = PipelineHarness(make_hook("h1"))
    harness.handle(make_record({"id": "e1"}, timestamp=0))
    harness.transport.answer(503)
    harness.clock.advance(12.0)
    harness.handle(harness.acknowledge().record(offset=70))
    harness.transport.answer(200)
    assert harness.count("delivery_latency_seconds_sum", hook="h1") == pytest.approx(12.0)


@pytest.mark.parametrize("ahead", [1.0, 3_600.0, 80_000.0])
def test_a_time_that_is_a_little_ahead_is_no_time_at_all(ahead: float) -> None:
    """A time that is a little ahead counts as a latency of zero."""
    harness = PipelineHarness(make_hook("h1"))
    at = int((harness.clock.now() + ahead) * 1000)
    harness.handle(make_record({"id": "e1", "occurred_at": at}))
    harness.clock.advance(0.5)
    harness.transport.answer(200)
    assert harness.count("delivery_latency_seconds_sum", hook="h1") == 0.0


def test_an_event_that_matches_no_hook_is_settled_at_once() -> None:
    """An event that matches no hook is settled at once, without a request."""
    harness = PipelineHarness(make_hook("h1", select=frozenset({"other"})))
    assert harness.handle(make_record(EVENT)).committable == 1
    assert harness.transport.sent == []
    assert harness.count("events_total", trigger="event", result="unmatched") == 1.0


def test_an_event_is_settled_when_its_last_delivery_is() -> None:
    """An event with several hooks is settled when its last delivery is."""
    harness = PipelineHarness(make_hook("h1"), make_hook("h2"))
    tracker = harness.handle(make_record(EVENT, key=b"k"))
    harness.transport.answer(200)
    harness.transport.answer(503)
    assert tracker.committable == 0
    posted = harness.acknowledge()
    assert tracker.committable == 1
    assert posted.outgoing.topic == RETRY_TOPICS[0].topic


@pytest.mark.parametrize("value", [b"\xff not json \x00", b"[]", b"", None])
def test_an_undecodable_record_is_dead_lettered_as_its_raw_bytes(value: bytes | None) -> None:
    """An undecodable record is dead-lettered as its raw bytes with reason and source in the
    headers, and settled once the broker has it.
    """
    harness = PipelineHarness(make_hook("h1"))
    tracker = harness.handle(FakeRecord(value, offset=3, key=b"\x00k", timestamp=5))
    (posted,) = harness.post
    assert (posted.outgoing.topic, posted.outgoing.key, posted.outgoing.value) == (
        DEAD,
        b"\x00k",
        value,
    )
    assert replace(posted.metadata, detail="") == DeliveryMetadata(
        "undecodable", "event", 0, 3, 5, "event"
    )
    assert tracker.committable == 3
    harness.acknowledge()
    assert tracker.committable == 4
    assert harness.count("events_total", trigger="event", result="undecodable") == 1.0
    assert harness.count("dead_letters_total", hook="", reason="undecodable") == 1.0


@pytest.mark.parametrize(
    ("answer", "reason", "status"),
    [
        (404, "permanent", "404"),
        (410, "permanent", "410"),
        (
            AttemptResult(error=ErrorKind.BLOCKED, detail="10.0.0.1 is private"),
            "blocked",
            "blocked",
        ),
    ],
)
def test_a_permanent_failure_is_a_dead_letter(
    answer: AttemptResult | int, reason: str, status: str
) -> None:
    """A permanent failure is a dead letter with reason and status, settled once the broker has
    it.
    """
    harness = PipelineHarness(make_hook("h1"))
    tracker = harness.handle(make_record(EVENT))
    harness.transport.answer(answer)
    assert tracker.committable == 0
    posted = harness.acknowledge()
    assert tracker.committable == 1
    assert posted.outgoing.topic == DEAD
    assert (posted.metadata.reason, posted.metadata.last_status) == (reason, status)
    assert posted.metadata.not_before is None
    assert harness.count("dead_letters_total", hook="h1", reason=reason) == 1.0
    assert harness.count("deliveries_total", hook="h1", outcome="dead_lettered") == 1.0


def test_a_rejected_delivery_tells_its_field_and_not_its_value() -> None:
    """The dead letter of a rejected delivery names the field and not its value."""
    hook = make_hook("h1", headers={"X": make_value("event", "data.note")})
    harness = PipelineHarness(hook)
    harness.handle(make_record({"id": "e1", "data": {"note": "canary\n"}}))
    (posted,) = harness.post
    assert posted.metadata.reason == "rejected"
    assert posted.metadata.detail == "header X would hold a control character"
    assert "canary" not in str(posted.headers)


def test_a_partition_that_left_publishes_nothing() -> None:
    """Nothing is published for a partition that left, and a late acknowledgement settles
    nothing.
    """
    harness = PipelineHarness(make_hook("h1"))
    tracker = harness.handle(make_record(EVENT))
    harness.transport.answer(503)
    assert harness.post[0].outgoing.wanted
    tracker.revoked = True
    assert not harness.post[0].outgoing.wanted


def test_defer_publishes_what_has_no_outcome() -> None:
    """Deferring publishes every delivery without an outcome to the first retry topic without
    spending an attempt, and a later answer is ignored.
    """
    harness = PipelineHarness(make_hook("h1", rate_limit=RateLimit(1, 60.0, 1)))
    tracker = harness.handle(make_record(EVENT))
    harness.handle(make_record({**EVENT, "id": "e2"}, offset=1))
    harness.handler.defer(lambda record: record.tracker is tracker)
    assert [posted.outgoing.topic for posted in harness.post] == [RETRY_TOPICS[0].topic] * 2
    assert [posted.metadata.reason for posted in harness.post] == ["stopped", "stopped"]
    assert sorted(posted.metadata.attempts for posted in harness.post) == [0, 1]
    harness.transport.answer(200)
    harness.acknowledge()
    harness.acknowledge()
    assert tracker.committable == 2


def test_intake_pauses_while_the_broker_takes_no_records() -> None:
    """Intake pauses while the broker takes no records (invariant 2, backpressure)."""
    harness = PipelineHarness(make_hook("h1"))
    assert not harness.handler.at_capacity
    harness.outbox.failing = True
    assert harness.handler.at_capacity


async def test_waiting_for_capacity_sheds_load() -> None:
    """Waiting for capacity sheds the deliveries of an endpoint that hangs once the stall time-out
    has passed.
    """
    harness = PipelineHarness(make_hook("h1"), make_hook("h2", trigger="push_click"))
    for offset in range(LIMITS.waiting + 10):
        harness.handle(make_record({"id": f"e{offset}"}, offset=offset))
    assert harness.handler.at_capacity
    harness.clock.advance(2.0)
    async with asyncio.timeout(10):
        while harness.handler.at_capacity:
            await harness.handler.wait_for_capacity()
    assert harness.post


async def test_nothing_is_shed_if_no_other_hook_waits() -> None:
    """With one hook only nothing is shed: a pause costs less than a retry topic."""
    harness = PipelineHarness(make_hook("h1"))
    for offset in range(LIMITS.waiting + 10):
        harness.handle(make_record({"id": f"e{offset}"}, offset=offset))
    harness.clock.advance(30.0)
    await harness.handler.wait_for_capacity()
    assert harness.handler.at_capacity
    assert not harness.post


@pytest.mark.parametrize(
    ("counts", "shares"),
    [
        ({"event": (2, 4), "push-click": (1, 4)}, {"event": 4 / 8, "push_click": 3 / 8}),
        ({"event": (4, 4), "push-click": (4, 4)}, {"event": 6 / 8, "push_click": 6 / 8}),
        ({"event": (0, 4), "push-click": (4, 4)}, {"event": 2 / 8, "push_click": 6 / 8}),
    ],
)
def test_rate_limits_are_divided_by_partitions(
    counts: dict[str, tuple[int, int]], shares: dict[str, float]
) -> None:
    """Rate limits are divided by the partitions of the trigger's topics and of the retry topics."""
    harness = PipelineHarness(
        make_hook("event", rate_limit=RateLimit(1, 1.0, 1)),
        make_hook("push_click", trigger="push_click", rate_limit=RateLimit(1, 1.0, 1)),
    )
    harness.handler.on_assigned(
        {**counts, **{retry_topic.topic: (1, 2) for retry_topic in RETRY_TOPICS}}
    )
    for hook in harness.handler.index.hooks.values():
        bucket = harness.handler.scheduler.endpoint(hook).bucket
        assert bucket is not None
        assert 1 / bucket.interval == pytest.approx(shares[hook.id])


def test_a_member_without_partitions_divides_by_nothing() -> None:
    """A member without partitions raises nothing when it divides rate limits."""
    harness = PipelineHarness(make_hook("h1", rate_limit=RateLimit(1, 1.0, 1)))
    topics = ["event", "push-click", *(retry_topic.topic for retry_topic in RETRY_TOPICS)]
    harness.handler.on_assigned(dict.fromkeys(topics, (0, 4)))
    harness.handle(make_record(EVENT))
    harness.clock.advance(1.0)  # what was not ours before comes without a burst
    assert len(harness.transport.sent) == 1
