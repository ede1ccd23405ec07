"""Which slots are work that another replica would take over."""

from dataclasses import replace

import pytest

from consumer.hooks.table import RateLimit
from support.fakes import make_hook
from support.scheduler_harness import LIMITS, SchedulerHarness

HOOK = make_hook("h")


@pytest.fixture
def bench() -> SchedulerHarness:
    """A scheduler with eight slots."""
    return SchedulerHarness(replace(LIMITS, per_hook=4))


def test_slots_of_an_endpoint_that_answers_are_work(bench: SchedulerHarness) -> None:
    """Four of eight slots in use by an endpoint that has answered a moment ago are half."""
    bench.submit(HOOK, times=5)
    bench.clock.advance(0.1)
    bench.transport.answer()
    assert bench.scheduler.busy_slots == 0.5


def test_slots_of_an_endpoint_that_hangs_are_none(bench: SchedulerHarness) -> None:
    """An endpoint that gives no answers holds its slots for nothing that a replica could do."""
    bench.submit(HOOK, times=4)
    bench.clock.advance(5.0)
    assert bench.scheduler.busy_slots == 0.0


def test_slots_of_a_limited_endpoint_are_none(bench: SchedulerHarness) -> None:
    """A hook at its rate limit would not send more with more replicas."""
    hook = make_hook("h", rate_limit=RateLimit(requests=2, per=10.0, burst=2))
    bench.submit(hook, times=4)
    assert bench.scheduler.in_flight == 2
    assert bench.scheduler.busy_slots == 0.0


def test_slots_of_an_endpoint_with_an_open_circuit_are_none(bench: SchedulerHarness) -> None:
    """An endpoint behind an open circuit gets probes, which are no work."""
    bench.submit(HOOK, times=8)
    for _ in range(4):
        bench.transport.answer(503)
    assert bench.scheduler.busy_slots == 0.0


def test_slots_of_an_endpoint_with_a_long_queue_are_none(bench: SchedulerHarness) -> None:
    """An endpoint that needs more than two seconds for its queue gets more than it takes."""
    bench.submit(HOOK, times=60)
    for _ in range(20):
        bench.clock.advance(0.5)
        bench.transport.answer()
    assert bench.endpoint(HOOK).waiting
    assert bench.scheduler.busy_slots == 0.0


def test_an_idle_scheduler_has_no_busy_slots(bench: SchedulerHarness) -> None:
    """Without deliveries no slot is at work."""
    assert bench.scheduler.busy_slots == 0.0
