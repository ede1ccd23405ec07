"""The measured pace of an endpoint: how long it is expected to need for its queue."""

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
    """Time in which an endpoint had nothing to do does not count as slowness."""
    bench = SchedulerHarness(replace(WIDE, per_hook=4))
    bench.submit(HOOK, times=100)
    _serve(bench, times=100, seconds=0.05)
    for _ in range(5):
        bench.clock.advance(600.0)
        bench.submit(HOOK, times=20)
        _serve(bench, times=20, seconds=0.05)
    assert bench.endpoint(HOOK).seconds_per_delivery() == pytest.approx(0.05)


def test_many_answers_at_once_are_no_better_pace_than_as_many_one_by_one() -> None:
    """Ten answers at once give the same pace as ten one by one, asked before, in the midst of, or
    after them.
    """
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
    """The pace follows an endpoint that becomes slower."""
    bench = SchedulerHarness(replace(WIDE, per_hook=1))
    bench.submit(HOOK, times=200)
    _serve(bench, times=100, seconds=0.01)
    _serve(bench, times=80, seconds=0.5)
    assert bench.endpoint(HOOK).seconds_per_delivery() == pytest.approx(0.5, rel=0.1)
