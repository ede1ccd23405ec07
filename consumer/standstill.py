"""Detects standstills: the process was stopped, frozen, suspended with its machine, or blocked."""

import asyncio
from collections.abc import Callable, Sequence

TICK_SECONDS = 0.5
MIN_STANDSTILL_SECONDS = 1.5
"""A longer time between two ticks is a standstill: timeouts in it are not the endpoints' fault."""


class Standstill:
    """A regular tick that measures the time since the last one.

    Args:
        clocks: each in seconds; the first is monotonic. A clock may stop while the machine is
            suspended, so the longest time counts.
        ticked: called with each tick's monotonic time and the seconds since the last tick.
    """

    def __init__(
        self, clocks: Sequence[Callable[[], float]], ticked: Callable[[float, float], None]
    ) -> None:
        self._clocks = clocks
        self._ticked = ticked
        self._last = [clock() for clock in clocks]
        self._awake_since = self._last[0]

    async def run(self) -> None:
        """Tick until cancelled."""
        while True:
            self.tick()
            await asyncio.sleep(TICK_SECONDS)

    def tick(self) -> None:
        """Measure the time since the last tick."""
        times = [clock() for clock in self._clocks]
        passed = max(now - last for now, last in zip(times, self._last, strict=True))
        self._last = times
        if passed > MIN_STANDSTILL_SECONDS:
            self._awake_since = times[0]
        self._ticked(times[0], passed)

    def awake_for(self) -> float:
        """Seconds since the last standstill; 0.0 in one that no tick has noticed yet."""
        now = self._clocks[0]()
        return now - self._awake_since if now - self._last[0] <= MIN_STANDSTILL_SECONDS else 0.0
