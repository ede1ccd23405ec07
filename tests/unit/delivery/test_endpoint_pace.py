"""The measured pace: how long an endpoint is judged to need for its backlog."""

from dataclasses import replace

import pytest

from support.fakes import make_hook
from support.scheduler_harness import LIMITS, SchedulerHarness

WIDE = replace(LIMITS, concurrency=100, per_host=100, waiting=1_000)
HOOK = make_hook("h")


def _serve(bench: SchedulerHarness, times: int, seconds: float) -> None:
    """Answer one after the other, each `seconds` after the one before."""
    for _ in range(times):
        bench.clock.advance(seconds)
        bench.transport.answer()


def test_time_without_work_is_no_pace() -> None:
    """An endpoint that waited for its backlog in a lane is as fast as before: else each pause
    would make the next one longer, and it would stand idle in the end.
    """
    bench = SchedulerHarness(replace(WIDE, per_hook=4))
    bench.submit(HOOK, times=100)
    _serve(bench, times=100, seconds=0.05)
    for _ in range(5):
        bench.clock.advance(600.0)
        bench.submit(HOOK, times=20)
        _serve(bench, times=20, seconds=0.05)
    assert bench.endpoint(HOOK).seconds_per_delivery() == pytest.approx(0.05)


def test_many_answers_at_once_are_no_better_pace_than_as_many_one_by_one() -> None:
    """Whenever it is asked: before a round of answers, in its midst and after it."""
    bench = SchedulerHarness(replace(WIDE, per_hook=10))
    bench.submit(HOOK, times=300)
    asked = []
    for _ in range(20):
        bench.clock.advance(2.0)
        for _ in range(10):
            bench.transport.answer()
            asked.append(bench.endpoint(HOOK).seconds_per_delivery())
    assert all(0.1 < pace < 0.4 for pace in asked[50:]), "ten in two seconds"


def test_a_slower_endpoint_is_noticed() -> None:
    """What was measured fades."""
    bench = SchedulerHarness(replace(WIDE, per_hook=1))
    bench.submit(HOOK, times=200)
    _serve(bench, times=100, seconds=0.01)
    _serve(bench, times=80, seconds=0.5)
    assert bench.endpoint(HOOK).seconds_per_delivery() == pytest.approx(0.5, rel=0.1)
