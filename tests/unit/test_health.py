"""The answers of `/healthz` and `/readyz` to the daemon's state."""

from types import SimpleNamespace
from typing import Any

import pytest

from consumer.health import Health


class State(SimpleNamespace):
    """The parts that are asked, as the test sets them; at first all is well."""

    def __init__(self) -> None:
        super().__init__(
            idle=0.0,
            watch=SimpleNamespace(stalled_for=0.0, reachable=True),
            membership=SimpleNamespace(joined=True, why_not_ready=lambda: ""),
            failing=False,
            doubted=False,
            standstill=SimpleNamespace(awake_for=lambda: 86_400.0),
            stopping=False,
            hooks_loaded=True,
            schemas="",
        )


@pytest.fixture
def state() -> Any:
    """One daemon's."""
    return State()


@pytest.fixture
def health(state: Any) -> Health:
    """The verdicts on it."""
    return Health(
        state,
        state,
        state,
        lambda: state.stopping,
        lambda: state.hooks_loaded,
        schema_trouble=lambda: state.schemas,
    )


def test_all_is_well(health: Health) -> None:
    """A daemon that is well is alive and ready."""
    assert health.alive().ok
    assert health.ready().ok


def test_a_broker_that_is_away_makes_unready_not_unhealthy(health: Health, state: Any) -> None:
    """A broker that is away makes the daemon unready and not unhealthy."""
    state.watch.reachable = False
    assert health.alive().ok
    assert "the broker does not answer" in health.ready().reason
    assert not health.ready().ok


def test_a_broker_that_takes_no_records_makes_unready_not_unhealthy(
    health: Health, state: Any
) -> None:
    """A broker that takes no records makes the daemon unready and not unhealthy, though nothing
    settles.
    """
    state.failing = True
    state.watch.stalled_for = 900.0
    assert health.alive().ok
    assert not health.ready().ok


def test_events_that_wait_for_five_minutes_while_nothing_settles_are_unhealthy(
    health: Health, state: Any
) -> None:
    """The daemon is unhealthy if events wait for five minutes while nothing settles and the broker
    answers.
    """
    state.watch.stalled_for = 299.0
    assert health.alive().ok
    state.watch.stalled_for = 301.0
    assert not health.alive().ok
    assert "none was settled for 301 s" in health.alive().reason


def test_an_intake_that_stands_is_unhealthy(health: Health, state: Any) -> None:
    """The daemon is unhealthy if its intake makes no step."""
    state.idle = 301.0
    assert not health.alive().ok
    assert "intake has been stuck for 301 s" in health.alive().reason


def test_definitions_that_are_not_read_make_unready(health: Health, state: Any) -> None:
    """A daemon is not ready before it has read the live definitions to their end, and says so."""
    state.hooks_loaded = False
    assert health.alive().ok
    assert health.ready().reason == "the live definitions are not read to their end"
    assert not health.ready().ok


def test_a_stop_makes_unready(health: Health, state: Any) -> None:
    """A stop makes the daemon unready."""
    state.stopping = True
    assert not health.ready().ok


def test_a_process_that_did_not_run_was_not_stuck(health: Health, state: Any) -> None:
    """Time in which the process did not run does not count as time without progress."""
    state.idle = state.watch.stalled_for = 320.0
    state.standstill.awake_for = lambda: 0.0
    assert health.alive().ok
    state.standstill.awake_for = lambda: 300.5
    assert "intake has been stuck for 300 s" in health.alive().reason


def test_a_process_that_stood_still_is_not_ready_before_it_is_a_member_again(
    health: Health, state: Any
) -> None:
    """After a long standstill the daemon is not ready until its group confirms it."""
    state.doubted = True
    assert "stood still" in health.ready().reason
    assert health.alive().ok


def test_a_member_that_waits_for_its_share_says_what_for(health: Health, state: Any) -> None:
    """A member that waits for its share for too long is not ready and says what it waits for."""
    state.membership.why_not_ready = lambda: "without a share of the partitions for 61 s: because"
    assert not health.ready().ok
    assert health.ready().reason.endswith("61 s: because")
    assert health.alive().ok


def test_a_process_that_never_joined_is_not_ready(health: Health, state: Any) -> None:
    """A process that has not joined its group yet is not ready."""
    state.membership.joined = False
    assert "not yet a member" in health.ready().reason
