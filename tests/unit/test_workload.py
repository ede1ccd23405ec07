"""A replica's look at itself, by injected time."""

from types import SimpleNamespace
from typing import Any

import pytest

from consumer.stream.flow import Flow
from consumer.wanted_replicas import HOLD_SECONDS, TARGET_BUSY
from consumer.workload import Workload
from support.fakes import FakeClock


@pytest.mark.parametrize(("cpu", "slots"), [(0.35, 0.1), (0.1, 0.35)])
def test_the_nearer_limit_counts(cpu: float, slots: float) -> None:
    """A replica is as busy as its CPU or its slots are, whichever is nearer to its limit."""
    clock, used = FakeClock(), 0.0
    flow: Any = SimpleNamespace(read=lambda: Flow(100, 100, 0, 0, 4))
    workload = Workload(flow, SimpleNamespace(busy_slots=slots), clock, lambda: used)
    for _ in range(int(2 * HOLD_SECONDS)):
        clock.advance(1.0)
        used += cpu
        workload.look()
    assert workload.wanted_replicas == pytest.approx(0.35 / TARGET_BUSY, rel=0.01)


def test_two_looks_at_the_same_time_are_no_error() -> None:
    """A look at the moment of the one before finds no time in which anything was done."""
    flow: Any = SimpleNamespace(read=lambda: Flow(0, 0, 0, 0, 4))
    workload = Workload(flow, SimpleNamespace(busy_slots=0.0), FakeClock(), lambda: 0.0)
    workload.look()
    assert workload.wanted_replicas == 1.0
