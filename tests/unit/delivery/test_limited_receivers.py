"""Receivers with a limit that is configured nowhere: what the scheduler does about their 429."""

from dataclasses import replace

import pytest

from consumer.delivery.http.transport import AttemptResult
from consumer.delivery.scheduling.learned_rate import FIRST_REQUESTS_PER_SECOND
from support.fakes import make_hook, make_value
from support.scheduler_harness import LIMITS, POLICY, SchedulerHarness

HOOK = make_hook("h")
SLOW_DOWN = AttemptResult(status=429, retry_after=1.0)


def rate(bench: SchedulerHarness) -> float | None:
    """The hook's learnt rate, as the metric has it."""
    return bench.metrics.registry.get_sample_value("hookstream_learned_rate", {"hook": "h"})


def test_a_429_that_names_a_time_puts_its_delivery_back_where_it_was() -> None:
    """Deliveries that are answered 429 with `Retry-After` wait at the front of the queue, in order,
    and have spent no attempt.
    """
    bench = SchedulerHarness(replace(LIMITS, per_hook=3))
    deliveries = []
    for _ in range(5):
        deliveries += bench.submit(HOOK)
        bench.clock.advance(0.01)
    for index in (1, 0, 0):  # the second is answered first
        bench.transport.answer(SLOW_DOWN, index)
    bench.clock.advance(0.9)
    assert len(bench.sent) == 3
    for _ in range(10):
        bench.clock.advance(0.1)
        bench.transport.answer_all()
    assert bench.sent[3:] == ["h-1", "h-2", "h-3", "h-4", "h-5"]
    assert [delivery.attempts for delivery in deliveries] == [1] * 5
    assert bench.outcomes.told == [(sent, "delivered") for sent in bench.sent[3:]]


def test_what_is_put_back_goes_before_what_came_later() -> None:
    """A delivery that was answered 429 goes before all that were queued after it."""
    bench = SchedulerHarness(replace(LIMITS, per_hook=1))
    for _ in range(3):
        bench.submit(HOOK)
        bench.clock.advance(0.01)
    bench.transport.answer(SLOW_DOWN)
    for _ in range(20):
        bench.clock.advance(0.1)
        bench.transport.answer_all()
    assert bench.sent == ["h-1", "h-1", "h-2", "h-3"]


def test_requests_go_at_the_learnt_rate() -> None:
    """After the pause deliveries start one after the other, not at once."""
    bench = SchedulerHarness()
    bench.submit(HOOK, times=9)
    bench.transport.answer_all(SLOW_DOWN)
    sent = len(bench.sent)
    bench.clock.advance(1.0)
    assert len(bench.sent) == sent + 1
    bench.clock.advance(0.05)
    assert len(bench.sent) == sent + 1
    bench.clock.advance(0.1)
    assert len(bench.sent) == sent + 2


@pytest.mark.parametrize(
    "answer",
    [
        SLOW_DOWN,
        AttemptResult(status=429),
        AttemptResult(status=503, retry_after=1.0),
    ],
)
def test_the_metric_shows_the_learnt_rate(answer: AttemptResult) -> None:
    """The metric has the requests a second once a 429, or a 503 with `Retry-After`, said that there
    is a limit, and 0 before.
    """
    bench = SchedulerHarness()
    bench.submit(HOOK, times=2)
    bench.transport.answer()
    assert rate(bench) == 0.0
    bench.transport.answer(answer)
    assert rate(bench) == pytest.approx(FIRST_REQUESTS_PER_SECOND)
    bench.clock.advance(1.5)
    bench.submit(HOOK, times=3)
    for _ in range(5):
        bench.clock.advance(0.1)
        bench.transport.answer_all(404)  # the receiver took it: its limit is not reached
    learnt = rate(bench)
    assert learnt is not None
    assert learnt > FIRST_REQUESTS_PER_SECOND


def test_a_late_429_of_an_early_attempt_says_nothing_new() -> None:
    """A 429 to an attempt that began before the last pause lowers no rate, whenever it comes."""
    bench = SchedulerHarness()
    bench.submit(HOOK, times=2)
    bench.transport.answer(SLOW_DOWN)
    bench.clock.advance(1.5)
    bench.transport.answer(200, 1)
    before = rate(bench)
    bench.transport.answer(AttemptResult(status=429, retry_after=1.0, duration=1.5))
    assert rate(bench) == before


def test_a_503_without_a_time_says_nothing_of_a_limit() -> None:
    """A 503 without `Retry-After` teaches no rate."""
    bench = SchedulerHarness()
    bench.submit(HOOK)
    bench.transport.answer(503)
    assert rate(bench) == 0.0


def test_the_search_begins_with_what_went_well() -> None:
    """An endpoint that took many requests in the last half minute is slowed down to half of that
    rate at most by its first 429.
    """
    bench = SchedulerHarness()
    for _ in range(4_000):
        bench.submit(HOOK)
        bench.transport.answer()
        bench.clock.advance(0.01)
    bench.submit(HOOK)
    bench.transport.answer(SLOW_DOWN)
    learnt = rate(bench)
    assert learnt is not None
    assert 50.0 <= learnt <= 100.0


def test_a_changed_definition_forgets_the_rate() -> None:
    """A definition that makes other requests begins without a learnt rate."""
    bench = SchedulerHarness()
    bench.submit(HOOK)
    bench.transport.answer(SLOW_DOWN)
    bench.submit(make_hook("h", headers={"X-Key": make_value("fixed", "new")}))
    assert rate(bench) == 0.0


def test_a_rate_that_limits_nothing_is_forgotten() -> None:
    """A rate that has limited nothing for ten minutes is forgotten with the next delivery."""
    bench = SchedulerHarness()
    bench.submit(HOOK)
    bench.transport.answer(SLOW_DOWN)
    bench.clock.advance(590.0)
    bench.transport.answer()
    bench.submit(HOOK)
    bench.transport.answer()
    assert rate(bench) != 0.0
    bench.clock.advance(30.0)
    bench.submit(HOOK)
    assert rate(bench) == 0.0


def test_a_reload_keeps_the_rate_of_a_removed_hook_for_a_while() -> None:
    """An endpoint whose hook a reload removed is kept for as long as its learnt rate is known."""
    bench = SchedulerHarness()
    bench.submit(HOOK)
    bench.transport.answer(SLOW_DOWN)
    bench.clock.advance(2.0)
    bench.transport.answer()
    bench.reconfigure(POLICY, "other")
    assert bench.endpoint(HOOK).learned_rate is not None
    bench.clock.advance(700.0)
    bench.reconfigure(POLICY, "other")
    assert bench.scheduler._table.endpoints == {}


def test_a_receiver_that_always_says_429_gets_little_and_the_delivery_expires() -> None:
    """A delivery whose receiver always answers 429 ends as `expired` after a few requests."""
    bench = SchedulerHarness(policy=replace(POLICY, expire_after=40.0))
    bench.submit(HOOK)
    for _ in range(100):
        bench.transport.answer_all(SLOW_DOWN)
        bench.clock.advance(1.0)
    assert bench.outcomes.told == [("h-1", "dead-lettered expired")]
    assert len(bench.sent) <= 8
    assert not bench.busy


def test_the_overflow_topic_gives_as_many_as_the_learnt_rate_allows() -> None:
    """Out of the overflow topic come as many deliveries as the learnt rate starts in a second."""
    bench = SchedulerHarness(
        replace(LIMITS, per_hook=64, per_host=64, concurrency=128, waiting=500)
    )
    bench.submit(HOOK)
    bench.transport.answer(SLOW_DOWN)
    bench.clock.advance(2.0)
    bench.transport.answer()
    assert rate(bench) == pytest.approx(10.7, abs=0.1)
    assert bench.scheduler.room(HOOK, bench.clock.now())[0] == 10
