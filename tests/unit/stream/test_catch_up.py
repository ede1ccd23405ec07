"""Whether a process that is short of CPU gets its overflow behind it."""

from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from consumer.stream.catch_up import CatchUp

_STEP = 0.05
_WORK_PER_SECOND = 200.0
_BEHIND_WORK, _DELIVERY_WORK = 1.5, 2.0
"""Work of an event that goes behind others, and of a delivery."""


def backlog(
    holds: Callable[[CatchUp, float], bool], *, load: float, behind: int, seconds: float
) -> tuple[float, float]:
    """Run a process that has `behind` deliveries of healthy endpoints in the overflow topic and
    gets `load` times the events that it could deliver, taking turns at both. Returns what still
    waits there and in the sources.
    """
    account, budget = CatchUp(), _WORK_PER_SECOND * _STEP
    overflow, source, now = float(behind), 0.0, 0.0
    while now < seconds:
        now += _STEP
        source += load * budget / _DELIVERY_WORK
        left = budget
        while left > 0.0 and (overflow or source):
            if source and not holds(account, now):
                source -= min(source, 1.0)
                if overflow:
                    left -= _BEHIND_WORK
                    overflow += 1.0
                    account.went_behind()
                else:
                    left -= _DELIVERY_WORK
            if overflow >= 1.0:
                left -= _DELIVERY_WORK
                overflow -= 1.0
                account.taken(now)
            else:
                overflow = 0.0
    return overflow, source


def test_without_the_account_a_process_never_gets_out() -> None:
    """The model shows the fault: a process that takes sources and overflow in turn keeps its
    overflow, at a load that it could serve.
    """
    overflow, source = backlog(lambda _a, _n: False, load=0.8, behind=3_000, seconds=120.0)
    assert overflow >= 2_900
    assert source > 200


@settings(max_examples=30)
@given(load=st.floats(0.1, 0.9), behind=st.integers(1, 4_000))
@example(load=0.9, behind=4_000)  # a tenth of 100 deliveries a second is left for 6,500 of them
def test_healthy_endpoints_leave_the_overflow_while_events_come(load: float, behind: int) -> None:
    """Whatever waits for healthy endpoints, at up to nine tenths of what the process can deliver
    it gets out of the overflow topic, and the sources wait no longer than until then.
    """
    overflow, source = backlog(CatchUp.holds, load=load, behind=behind, seconds=700.0)
    assert overflow < 250
    assert source < 250


def test_sources_do_not_wait_for_what_does_not_leave() -> None:
    """If nothing leaves the overflow topic for half a second the sources wait no more, and what
    went behind before is forgotten.
    """
    account = CatchUp()
    account.taken(10.0)
    for _ in range(1_000):
        account.went_behind()
    assert account.holds(10.4)
    assert not account.holds(10.6)
    account.taken(10.6)
    assert not account.holds(10.6)


@pytest.mark.parametrize(("behind", "holds"), [(249, False), (250, True)])
def test_a_few_that_go_behind_hold_nothing(behind: int, holds: bool) -> None:
    """The sources wait once 250 deliveries more have gone behind than half of those that left."""
    account = CatchUp()
    for _ in range(100):
        account.went_behind()
        account.taken(1.0)
        account.taken(1.0)
    for _ in range(behind):
        account.went_behind()
    assert account.holds(1.0) is holds
