"""What is logged, what is counted, and what is dropped."""

from dataclasses import replace

import pytest

from consumer.delivery.http.transport import AttemptResult
from consumer.events.numbers import LongNumber
from consumer.journal.log_filter import parse_filter
from consumer.journal.records import Followed, hash_user
from consumer.reasons import ErrorKind, Reason
from consumer.records.delivery_metadata import DeliveryMetadata
from consumer.records.overflow_tracker import OverflowTracker
from consumer.records.tracker import OffsetTracker
from support.fakes import FakeRecord, make_event, make_hook, make_value
from support.journal_harness import REPLICA, USER_KEY, JournalHarness
from support.scheduler_harness import LIMITS

HOOK = make_hook()


async def test_a_record_tells_one_attempt() -> None:
    """A record of the log has the attempt's answer, its times, and what followed."""
    journal = JournalHarness()
    event = make_event({"id": "e7", "user": {"id": "u42"}})
    journal.scheduler.submit(HOOK, event=event)
    journal.scheduler.transport.answer(AttemptResult(status=503, duration=0.25))
    await journal.write()
    [record] = journal.cluster.log
    assert (record.delivery, record.hook, record.event) == ("h1-1", "h1", event.id)
    assert (record.attempt, record.status, record.error) == (1, 503, None)
    assert (record.outcome, record.at) == (Followed.RETRY, "2027-01-15T08:00:00.000Z")
    assert record.retry_at == "2027-01-15T08:00:10.000Z"
    assert (record.replica, record.user) == (REPLICA, hash_user(USER_KEY, "u42"))
    assert record.ms.all == 250.0


@pytest.mark.parametrize(
    ("header", "trace"), [(f"00-{'ab' * 16}-{'cd' * 8}-00", "ab" * 16), ("00-1", None)]
)
async def test_a_record_has_the_producers_trace(header: str, trace: str | None) -> None:
    """A record of the log has the id of the trace that the event belongs to, sampled or not."""
    journal = JournalHarness()
    record = FakeRecord(headers=[("traceparent", header.encode())])
    source = OffsetTracker("event", 0, 0).receive(0, record, 1, 0.0)
    journal.scheduler.submit(HOOK, source_record=source)
    journal.scheduler.transport.answer(503)
    await journal.write()
    [logged] = journal.cluster.log
    assert logged.trace == trace


@pytest.mark.parametrize(
    ("user", "logged"),
    [
        (7, "7"),
        (LongNumber("123456789012345678901"), "123456789012345678901"),
        ("u" * 1024, "u" * 1024),
        ("u" * 1025, None),
        (LongNumber("0.1234567890123456789"), None),
        (None, None),
    ],
)
async def test_a_user_is_logged_by_any_id(user: object, logged: str | None) -> None:
    """A user's id is logged as a keyed hash: a text or an integer of any length, up to the longest
    that can be asked for.
    """
    journal = JournalHarness()
    event = make_event({"id": "e"})
    event.document["user"] = {"id": user}
    journal.scheduler.submit(HOOK, event=event)
    journal.scheduler.transport.answer(200)
    await journal.write()
    [record] = journal.cluster.log
    assert record.user == (hash_user(USER_KEY, logged) if logged is not None else None)


async def test_a_long_event_id_waits_cut() -> None:
    """A row keeps 300 characters of an event's id while it waits, and is found by all of it."""
    journal = JournalHarness()
    journal.scheduler.submit(HOOK, event=make_event({"id": "e" * 100_000}))
    journal.scheduler.transport.answer(200)
    assert len(journal.observer._rows[0].event or "") == 300
    await journal.write()
    [record] = journal.cluster.log
    wanted = parse_filter({"event": "e" * 1_000}, now=0.0, user_key=USER_KEY)
    assert wanted.event == record.event


async def test_a_record_has_its_key_and_its_time() -> None:
    """The key of a record of the log is its hook, and its timestamp is the attempt's time."""
    journal = JournalHarness()
    journal.scheduler.submit(HOOK)
    journal.clock.advance(1.5)
    journal.scheduler.transport.answer(200)
    journal.clock.advance(7.0)
    await journal.write()
    record = journal.cluster.records[0]
    assert (record.topic, record.key) == ("hs.deliveries", b"h1")
    assert record.timestamp == 1_800_000_001_500


@pytest.mark.parametrize(
    ("result", "outcome", "reason", "error"),
    [
        (200, Followed.DELIVERED, None, None),
        (404, Followed.DEAD_LETTER, "permanent", None),
        (AttemptResult(error=ErrorKind.TIMEOUT), Followed.RETRY, None, "timeout"),
        (AttemptResult(error=ErrorKind.BLOCKED), Followed.DEAD_LETTER, "blocked", "blocked"),
        (AttemptResult(status=429, retry_after=5.0), Followed.RETRY, None, None),
    ],
)
async def test_what_followed_is_told(
    result: AttemptResult | int, outcome: Followed, reason: str | None, error: str | None
) -> None:
    """A record's outcome is what followed for the delivery, with the reason of a dead letter."""
    journal = JournalHarness()
    journal.scheduler.submit(HOOK)
    journal.scheduler.transport.answer(result)
    await journal.write()
    [record] = journal.cluster.log
    assert (record.outcome, record.reason, record.error) == (outcome, reason, error)
    assert record.attempt == 1
    assert (record.status is None) == (error is not None)


async def test_an_end_without_an_attempt_is_logged() -> None:
    """A delivery that ends without an attempt has a record without status, error and times."""
    journal = JournalHarness()
    journal.scheduler.submit(make_hook(headers={"x": make_value("event", "absent", "reject")}))
    journal.scheduler.submit(HOOK)
    journal.scheduler.scheduler.defer_all(lambda _: True)
    journal.observer.gave_up(
        DeliveryMetadata(Reason.HOOK_REMOVED, "t", 1, 2, 0, "event", "e:gone", "gone")
    )
    await journal.write()
    rejected, deferred, removed = journal.cluster.log
    assert (rejected.outcome, rejected.reason) == (Followed.DEAD_LETTER, "rejected")
    assert (deferred.outcome, deferred.reason) == (Followed.RETRY, "stopped")
    assert (removed.hook, removed.delivery, removed.source) == ("gone", "e:gone", "t/1/2")
    assert (removed.reason, removed.event) == ("hook_removed", None)
    for record in journal.cluster.log:
        assert (record.attempt, record.status, record.error) == (0, None, None)


async def test_a_late_result_is_a_retry() -> None:
    """An attempt whose delivery was deferred meanwhile is logged as a retry that came too late,
    with its status: the delivery is sent again.
    """
    journal = JournalHarness()
    journal.scheduler.submit(HOOK)
    journal.scheduler.scheduler.defer_all(lambda _: True)
    journal.scheduler.transport.answer(200)
    await journal.write()
    _, late = journal.cluster.log
    assert (late.status, late.outcome, late.reason) == (200, Followed.RETRY, "late")


async def test_failures_and_a_share_of_successes_are_logged() -> None:
    """All failures are logged and the settings' share of the successes; the reports count all."""
    numbers = iter([0.009, 0.011, 0.5, 0.0099])
    journal = JournalHarness(successes=0.01, random=lambda: next(numbers))
    journal.scheduler.submit(HOOK, times=6)
    for status in (200, 200, 503, 200, 200, 404):
        journal.scheduler.transport.answer(status)
    await journal.write()
    assert [record.delivery for record in journal.cluster.log] == ["h1-1", "h1-3", "h1-5", "h1-6"]
    [report] = journal.cluster.reports
    assert (report.delivered, report.retried, report.dead_lettered) == (4, 1, {"permanent": 1})
    assert report.attempts == {"2xx": 4, "5xx": 1, "4xx": 1}
    assert sum(report.latency) == 6


async def test_without_failures_only_successes_are_logged() -> None:
    """Without `failures` neither failed attempts nor ends without one are logged, and all count."""
    journal = JournalHarness(failures=False)
    journal.scheduler.submit(HOOK, times=3)
    journal.scheduler.transport.answer(404)
    journal.scheduler.transport.answer(200)
    journal.scheduler.scheduler.defer_all(lambda _: True)
    journal.observer.gave_up(
        DeliveryMetadata(Reason.HOOK_REMOVED, "t", 1, 2, 0, "event", "e:h1", "h1")
    )
    await journal.write()
    assert [record.status for record in journal.cluster.log] == [200]
    [report] = journal.cluster.reports
    assert report.dead_lettered == {"permanent": 1, "hook_removed": 1}
    assert (report.delivered, report.retried) == (1, 1)


async def test_the_queue_is_bounded_and_what_is_dropped_is_counted() -> None:
    """Rows beyond the queue's bound are dropped and counted, and the reports count them still."""
    journal = JournalHarness(max_rows=3)
    journal.scheduler.submit(HOOK, times=5)
    for _ in range(5):
        journal.scheduler.transport.answer(200)
    journal.observer.gave_up(DeliveryMetadata(Reason.EXPIRED, "t", 1, 2, 0, "event", "e:h1", "h1"))
    assert journal.observer.waiting == 3
    await journal.write()
    assert len(journal.cluster.log) == 3
    assert journal.writer.dropped == 3
    [report] = journal.cluster.reports
    assert (report.delivered, report.dead_lettered) == (5, {"expired": 1})


async def test_an_hour_has_its_own_report() -> None:
    """An attempt counts for the hour in which its record's time is, also if both hours are written
    at once.
    """
    journal = JournalHarness()
    journal.scheduler.submit(HOOK, times=2)
    journal.scheduler.transport.answer(200)
    journal.clock.advance(3_599.0)
    journal.scheduler.transport.answer(200)
    journal.scheduler.submit(HOOK)
    journal.clock.advance(1.0)
    journal.scheduler.transport.answer(200)
    await journal.write()
    hours = {report.hour: report.delivered for report in journal.cluster.reports}
    assert hours == {"2027-01-15T08": 2, "2027-01-15T09": 1}
    assert [record.at[:13] for record in journal.cluster.log] == [
        "2027-01-15T08",
        "2027-01-15T08",
        "2027-01-15T09",
    ]


async def test_a_clock_that_is_set_back_begins_no_report_again() -> None:
    """A wall clock that is set back by hours counts for the hour before the newest one, whose
    counts are still known: no report begins at 0 again.
    """
    journal = JournalHarness()
    for back in (0.0, 3_600.0, 3 * 3_600.0):
        journal.clock.set_back(back)
        await journal.write()
        journal.scheduler.submit(HOOK)
        journal.scheduler.transport.answer(200)
        await journal.write()
    hours = {report.hour: report.delivered for report in journal.cluster.reports}
    assert hours == {"2027-01-15T08": 1, "2027-01-15T07": 2}


async def test_what_stays_in_the_overflow_topic_has_not_ended() -> None:
    """A delivery that waits on in the overflow topic, without an attempt, is not logged again; one
    that is written there is.
    """
    journal = JournalHarness(limits=replace(LIMITS, per_hook=1))
    tracker = OverflowTracker("overflow", 0, 0)
    tracker.add(0, "h1", 0.0)
    waiting = tracker.receive(0, FakeRecord(), 1, 0.0)
    journal.scheduler.submit(HOOK)
    journal.scheduler.submit(HOOK, source_record=waiting)
    journal.scheduler.submit(HOOK)
    journal.scheduler.scheduler.release(lambda _: True)
    await journal.write()
    assert [(r.delivery, r.reason) for r in journal.cluster.log] == [("h1-3", "stopped")]
    [report] = journal.cluster.reports
    assert report.overflowed == 1


@pytest.mark.parametrize(
    ("user", "hashed"),
    [({"id": 7}, hash_user(USER_KEY, "7")), ({"id": None}, None), ("u", None), (None, None)],
)
async def test_a_user_without_a_readable_id_is_not_logged(user: object, hashed: str | None) -> None:
    """A user's id that is neither a text nor an integer is left out of the log."""
    journal = JournalHarness()
    journal.scheduler.submit(HOOK, event=make_event({"id": "e1", "user": user}))
    journal.scheduler.transport.answer(200)
    await journal.write()
    [record] = journal.cluster.log
    assert record.user == hashed
