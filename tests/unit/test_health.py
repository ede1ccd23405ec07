"""What `/healthz` and `/readyz` say of the daemon's state."""

from types import SimpleNamespace

import pytest

from consumer.app import App, Loaded
from consumer.hooks.table import HookTable
from consumer.matching.index import Index
from consumer.settings import Settings


@pytest.fixture
def app() -> App:
    """One whose parts the test sets; well, and a member of its group."""
    app = App(lambda: Loaded(Settings(), Index(HookTable({}))))
    watch = SimpleNamespace(stalled_for=0.0, reachable=True)
    app._intake = SimpleNamespace(idle=0.0, joined=True, watch=watch)  # type: ignore[assignment]
    app._handover = SimpleNamespace(failing=False)  # type: ignore[assignment]
    return app


def test_all_is_well(app: App) -> None:
    """Alive and ready."""
    assert app._health().ok
    assert app.readiness().ok


def test_a_broker_that_is_away_makes_unready_not_unhealthy(app: App) -> None:
    """A restart would not bring it back."""
    app._intake.watch.reachable = False
    assert app._health().ok
    assert "the broker does not answer" in app.readiness().reason
    assert not app.readiness().ok


def test_a_broker_that_takes_no_hand_over_makes_unready_not_unhealthy(app: App) -> None:
    """Then nothing settles either, and it is not this process that is stuck."""
    app._handover.failing = True
    app._intake.watch = SimpleNamespace(stalled_for=900.0, reachable=True)  # type: ignore[assignment]
    assert app._health().ok
    assert not app.readiness().ok


def test_events_that_wait_for_five_minutes_while_nothing_settles_are_unhealthy(app: App) -> None:
    """The broker answers, so something in here is stuck."""
    app._intake.watch = SimpleNamespace(stalled_for=299.0, reachable=True)  # type: ignore[assignment]
    assert app._health().ok
    app._intake.watch.stalled_for = 301.0  # type: ignore[misc]
    assert not app._health().ok
    assert "none was settled for 301 s" in app._health().reason


def test_an_intake_that_stands_is_unhealthy(app: App) -> None:
    """It never waits for long."""
    app._intake.idle = 301.0  # type: ignore[misc]
    assert not app._health().ok
    assert "intake stands since 301 s" in app._health().reason


def test_a_stop_makes_unready(app: App) -> None:
    """Nothing more is taken."""
    app.stop()
    assert not app.readiness().ok
