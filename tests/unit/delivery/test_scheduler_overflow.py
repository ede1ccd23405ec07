"""What the scheduler sends to the overflow topic, and what it takes back."""

from dataclasses import replace
from math import inf

import pytest

from consumer.delivery.http.transport import AttemptResult
from consumer.delivery.scheduling.results import MAX_CONSECUTIVE_410
from consumer.hooks.table import Hook, RateLimit
from support.fakes import make_hook, make_source_record
from support.scheduler_harness import LIMITS, POLICY, SchedulerHarness

HOOK = make_hook("h")
WIDE = replace(LIMITS, waiting=1_024)


def overflowed(bench: SchedulerHarness, cause: str) -> list[str]:
    """The ids of what overflowed for that cause, in order."""
    return [told for told, outcome in bench.outcomes.told if outcome == f"overflowed {cause}"]


def limited(per_second: int) -> Hook:
    """A hook with a rate limit and no burst."""
    return make_hook("h", rate_limit=RateLimit(per_second, 1.0, 1))


@pytest.mark.parametrize(("per_second", "kept"), [(100, 100), (10, 64), (1, 30)])
def test_a_queue_is_no_longer_than_a_second_of_its_rate(per_second: int, kept: int) -> None:
    """A queue that takes more than a second at its rate limit, and holds more than 64 deliveries,
    or that takes more than thirty, grows no more: later ones overflow in order, whatever capacity
    is left.
    """
    bench = SchedulerHarness(WIDE)
    bench.submit(limited(per_second), times=kept + 21)
    assert len(bench.endpoint(HOOK).waiting) == kept
    assert overflowed(bench, "crowded") == [f"h-{number}" for number in range(kept + 2, kept + 22)]


def test_a_queue_without_a_rate_limit_has_no_bound_of_its_own() -> None:
    """Without a rate limit a queue may be as long as the capacity of all."""
    bench = SchedulerHarness(WIDE)
    bench.submit(HOOK, times=500)
    assert bench.outcomes.told == []


def test_a_queue_grows_little_during_a_pause() -> None:
    """During a short pause a queue grows to 64 deliveries, and later ones overflow in order."""
    bench = SchedulerHarness(WIDE)
    bench.submit(HOOK)
    bench.transport.answer(AttemptResult(status=429, retry_after=4.0))
    bench.submit(HOOK, times=70)
    assert len(bench.endpoint(HOOK).waiting) == 64
    assert overflowed(bench, "crowded") == [f"h-{number}" for number in range(65, 72)]


def test_a_delivery_lines_up_without_an_attempt() -> None:
    """A delivery behind others in the overflow topic goes there without an attempt, though its
    endpoint is free, and its age counts from then on.
    """
    bench = SchedulerHarness()
    delivery = bench.delivery(HOOK)
    bench.scheduler.line_up(delivery)
    assert bench.outcomes.told == [("h-1", "overflowed behind")]
    assert (delivery.attempts, delivery.first_failed_at) == (0, bench.clock.now())
    assert not bench.busy


def test_what_lines_up_for_want_of_cpu_is_told() -> None:
    """A delivery that lines up though its endpoint takes more is told while the process is short of
    CPU, and only then; one whose endpoint has a pause, a used-up rate or an open circuit is not.
    """
    bench = SchedulerHarness(WIDE)
    resting, used_up = make_hook("resting"), replace(limited(1), id="used-up")
    bench.submit(resting)
    bench.transport.answer(AttemptResult(status=429, retry_after=4.0))
    bench.submit(used_up)
    line_up = bench.scheduler.line_up
    for short_of_cpu in (True, False):
        bench.scheduler.extend(start_until=inf, awake_until=inf, short_of_cpu=short_of_cpu)
        told = [line_up(bench.delivery(hook)) for hook in (HOOK, resting, used_up)]
        assert told == [short_of_cpu, False, False]


def test_what_lines_up_for_a_disabled_hook_is_a_dead_letter() -> None:
    """A delivery to a hook that 410 disabled is a dead letter instead of lining up."""
    bench = SchedulerHarness()
    for _ in range(MAX_CONSECUTIVE_410):
        bench.submit(HOOK)
        bench.transport.answer(410)
    bench.scheduler.line_up(bench.delivery(HOOK))
    assert bench.outcomes.told[-1] == ("h-6", "dead-lettered disabled")


def test_release_takes_what_has_not_started_in_order() -> None:
    """A release lets the deliveries of some records overflow that have not started, in order, and
    leaves those under way and those of other records.
    """
    bench = SchedulerHarness(replace(LIMITS, per_hook=1))
    leaving, staying = make_source_record(), make_source_record()
    bench.submit(HOOK, times=3, source_record=leaving)
    bench.submit(HOOK, source_record=staying)
    bench.submit(HOOK, source_record=leaving)
    bench.scheduler.release(lambda record: record is leaving)
    assert bench.outcomes.told == [(f"h-{n}", "overflowed stopped") for n in (2, 3, 5)]
    bench.transport.answer()
    bench.transport.answer()
    assert bench.sent == ["h-1", "h-4"]
    assert not bench.busy
    assert bench.scheduler._waiting == 0


def test_room_knows_whether_the_oldest_is_over() -> None:
    """A paused endpoint has room for deliveries that have expired, and for no others."""
    bench = SchedulerHarness()
    bench.submit(HOOK)
    bench.transport.answer(AttemptResult(status=503, retry_after=7_200.0))
    now = bench.clock.now()
    assert bench.scheduler.room(HOOK, now - POLICY.expire_after + 1.0) == (0, 1.0)
    assert bench.scheduler.room(HOOK, now - POLICY.expire_after) == (64, 1.0)


def test_room_knows_whether_the_queues_are_half_full() -> None:
    """An endpoint has less room once the queues of all are half full."""
    bench = SchedulerHarness(replace(LIMITS, per_hook=64, waiting=100))
    other = make_hook("other", uri="https://other.example/", rate_limit=RateLimit(50, 1.0, 1))
    bench.submit(other, times=50)
    assert bench.scheduler.room(HOOK, bench.clock.now())[0] == 64
    bench.submit(other, times=1)
    assert bench.scheduler.room(HOOK, bench.clock.now())[0] == 32


def test_room_follows_a_reload() -> None:
    """The room of a hook is that of its present definition."""
    bench = SchedulerHarness()
    assert bench.scheduler.room(limited(2), bench.clock.now())[0] == 2
    assert bench.scheduler.room(limited(4), bench.clock.now())[0] == 4


def test_what_comes_back_from_the_overflow_topic_goes_on() -> None:
    """A delivery that comes back from the overflow topic has all its attempts."""
    bench = SchedulerHarness()
    bench.scheduler.resubmit(bench.delivery(HOOK, attempts=2), "crowded")
    bench.transport.answer(503)
    assert bench.outcomes.of("h-1") == ["deferred 503"]
    assert bench.outcomes.deferrals["h-1"].topic_number == 2


@pytest.mark.parametrize("by_room", [True, False])
def test_a_queue_goes_on_when_its_hook_moves_to_another_host(by_room: bool) -> None:
    """A queue that waits for its host goes on when a new definition names another host, also if
    the overflow topic brings the definition.
    """
    bench = SchedulerHarness(replace(LIMITS, per_host=1))
    bench.submit(make_hook("other"))
    bench.submit(HOOK)
    assert bench.under_way == ["other-1"]
    moved = make_hook("h", uri="https://elsewhere.example/")
    if by_room:
        bench.scheduler.room(moved, bench.clock.now())
    else:
        bench.scheduler.line_up(bench.delivery(moved))
    assert bench.under_way == ["other-1", "h-2"]
