"""Notices that the process did not run: stopped, frozen, suspended with its machine, or blocked."""

import asyncio
from collections.abc import Callable, Sequence

TICK_SECONDS = 0.5
BLINK_SECONDS = 1.5
"""Longer between two ticks is a standstill: what fell due in it says nothing of others."""


class Standstill:
    """Ticks, and tells of each tick how long it is since the one before.

    Args:
        clocks: each in seconds; the first is monotonic. One may stand while the machine is
            suspended, so the longest time counts.
        ticked: told of each tick's monotonic time and of the seconds since the one before.
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
        """One tick."""
        times = [clock() for clock in self._clocks]
        passed = max(now - last for now, last in zip(times, self._last, strict=True))
        self._last = times
        if passed > BLINK_SECONDS:
            self._awake_since = times[0]
        self._ticked(times[0], passed)

    def awake_for(self) -> float:
        """Seconds without a standstill; 0.0 after one that no tick has noticed yet."""
        now = self._clocks[0]()
        return now - self._awake_since if now - self._last[0] <= BLINK_SECONDS else 0.0
