"""The scheduler after a time in which the process did not run."""

from dataclasses import replace

import pytest

from consumer.delivery.http.transport import AttemptResult
from consumer.hooks.table import RateLimit
from consumer.reasons import ErrorKind
from support.fakes import make_hook, make_source_record
from support.scheduler_harness import LIMITS, SchedulerHarness

TIMEOUT = AttemptResult(error=ErrorKind.TIMEOUT)
HOOK = make_hook("h")
NARROW = replace(LIMITS, per_hook=2)


def renew(bench: SchedulerHarness, seconds: float = 6.0) -> None:
    """The process runs, and says so."""
    now = bench.clock.monotonic()
    bench.scheduler.extend(start_until=now + seconds, awake_until=now + 1.5, short_of_cpu=False)


def test_nothing_starts_after_the_time_that_was_allowed() -> None:
    """No attempt starts after the allowed time, neither at an answer nor at a timer, until it is
    allowed again; answers count meanwhile.
    """
    bench = SchedulerHarness(NARROW)
    renew(bench)
    bench.submit(HOOK, times=6)
    bench.submit(make_hook("slow", rate_limit=RateLimit(requests=1, per=3.0, burst=1)), times=2)
    assert len(bench.sent) == 3
    bench.clock.advance(5.9)
    assert len(bench.sent) == 4
    bench.clock.advance(20.0)
    bench.transport.answer()
    bench.transport.answer(503)
    bench.submit(make_hook("new"))
    bench.clock.advance(20.0)
    assert len(bench.sent) == 4
    assert bench.outcomes.told == [("h-1", "delivered"), ("h-2", "deferred 503")]
    renew(bench)
    assert sorted(bench.sent[4:]) == ["h-3", "h-4", "new-9"]


def test_what_became_others_meanwhile_is_never_sent() -> None:
    """A delivery whose partition left meanwhile is dropped when the next one may start."""
    bench = SchedulerHarness(NARROW)
    origin = make_source_record()
    renew(bench)
    bench.submit(HOOK, times=6, source_record=origin)
    bench.clock.advance(20.0)
    origin.tracker.revoked = True
    renew(bench)
    bench.transport.answer_all()
    assert bench.sent == ["h-1", "h-2"]
    assert bench.outcomes.told == []
    bench.submit(HOOK)
    assert bench.sent[2:] == ["h-7"]
    assert bench.scheduler._waiting == 0


def test_an_excused_attempt_is_none() -> None:
    """An attempt that a standstill excuses opens no circuit, is not counted, and is made again at
    once.
    """
    bench = SchedulerHarness()
    bench.scheduler.excuses = lambda _answer, _now: True
    deliveries = bench.submit(HOOK, times=20)
    while len(bench.sent) < 20:
        bench.transport.answer_all(TIMEOUT)
    assert bench.outcomes.told == []
    assert [delivery.attempts for delivery in deliveries[:4]] == [0, 0, 0, 0]
    bench.scheduler.excuses = lambda _answer, _now: False
    while bench.under_way:
        bench.transport.answer()
    assert {outcome for _, outcome in bench.outcomes.told} == {"delivered"}
    assert len(bench.outcomes.told) == 20
    assert {delivery.attempts for delivery in deliveries} == {1}


def test_a_delivery_is_excused_once() -> None:
    """A delivery is excused once, so that an endpoint that hangs is given up in the end."""
    bench = SchedulerHarness()
    bench.scheduler.excuses = lambda _answer, _now: True
    bench.submit(HOOK)
    bench.transport.answer(TIMEOUT)
    bench.transport.answer(TIMEOUT)
    assert bench.outcomes.told == [("h-1", "deferred timeout")]


@pytest.mark.parametrize("status", [200, 404, 410])
def test_an_answer_needs_no_excuse(status: int) -> None:
    """An answer counts as it is, even over a standstill."""
    bench = SchedulerHarness()
    bench.scheduler.excuses = lambda _answer, _now: True
    bench.submit(HOOK)
    bench.transport.answer(status)
    assert len(bench.outcomes.told) == 1


def test_a_probe_that_is_excused_allows_another() -> None:
    """An excused probe allows another one, so that the circuit does not stay half-open."""
    bench = SchedulerHarness()
    bench.submit(HOOK, times=4)
    bench.transport.answer_all(503)
    bench.clock.advance(10.0)
    bench.submit(HOOK)
    bench.scheduler.excuses = lambda _answer, _now: True
    bench.transport.answer(TIMEOUT)
    assert bench.under_way == ["h-5"]
    bench.transport.answer()
    bench.submit(HOOK, times=2)
    assert bench.under_way == ["h-6", "h-7"]


def test_silence_over_a_standstill_is_not_held_against_an_endpoint() -> None:
    """A queue that waited for this process is not shed, and the endpoint's pace is measured
    anew.
    """
    bench = SchedulerHarness(replace(NARROW, waiting=10))
    renew(bench)
    bench.submit(HOOK, times=12)
    bench.clock.advance(2.0)
    bench.scheduler.shed_load()
    assert bench.outcomes.told == []
    bench.scheduler.woke()
    renew(bench)
    bench.scheduler.shed_load()
    assert bench.outcomes.told == []
    bench.clock.advance(1.2)
    bench.scheduler.shed_load()
    assert len(bench.outcomes.told) == 5
