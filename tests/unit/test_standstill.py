"""The detection of times in which the process did not run."""

import asyncio
from contextlib import suppress

import pytest

from consumer import standstill
from consumer.standstill import MIN_STANDSTILL_SECONDS, TICK_SECONDS, Standstill
from support.fakes import FakeClock


class Watched:
    """A standstill's watch on clocks that stand still."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.suspended = 0.0
        """Seconds of the machine's suspension, which only the second clock counts."""
        self.ticks: list[float] = []
        """The seconds of each."""
        self.watch = Standstill((self.clock.monotonic, self._boottime), self._ticked)

    def _boottime(self) -> float:
        return self.clock.monotonic() + self.suspended

    def _ticked(self, now: float, passed: float) -> None:
        assert now == self.clock.monotonic()
        self.ticks.append(passed)

    def passes(self, seconds: float) -> None:
        """Time, and a tick."""
        self.clock.advance(seconds)
        self.watch.tick()


def test_time_that_passes_from_tick_to_tick_is_time_awake() -> None:
    """Time from tick to tick counts as running time, even if a tick is a little late."""
    watched = Watched()
    for _ in range(10):
        watched.passes(TICK_SECONDS + 0.25)
    assert watched.watch.awake_for() == 7.5
    watched.clock.advance(MIN_STANDSTILL_SECONDS)
    assert watched.watch.awake_for() == 7.5 + MIN_STANDSTILL_SECONDS


def test_a_standstill_is_noticed_before_the_tick_after_it() -> None:
    """A standstill is noticed by the first question after it, before the next tick."""
    watched = Watched()
    watched.passes(100.0)
    watched.passes(0.5)
    assert watched.watch.awake_for() == 0.5
    watched.clock.advance(320.0)
    assert watched.watch.awake_for() == 0.0
    watched.watch.tick()
    assert watched.ticks == [100.0, 0.5, 320.0]
    watched.clock.advance(1.0)
    assert watched.watch.awake_for() == 1.0


def test_a_suspended_machine_stands_still_though_its_monotonic_clock_does_too() -> None:
    """Of several clocks the longest time counts, so a suspended machine is noticed."""
    watched = Watched()
    watched.suspended = 60.0
    watched.passes(0.5)
    assert watched.ticks == [60.5]
    assert watched.watch.awake_for() == 0.0


async def test_it_ticks_until_it_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    """The watch ticks at once and then until it is cancelled."""
    monkeypatch.setattr(standstill, "TICK_SECONDS", 0.001)
    watched = Watched()
    with suppress(TimeoutError):
        async with asyncio.timeout(0.2):
            await watched.watch.run()
    assert len(watched.ticks) > 1
