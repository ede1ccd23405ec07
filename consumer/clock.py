"""Time, passed in: nothing below the composition root reads a clock of its own."""

import time
from functools import partial
from typing import Protocol


class Clock(Protocol):
    """Two clocks: one that people read, one that measures."""

    def now(self) -> float:
        """Seconds since the Unix epoch; may jump when the machine's clock is set."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back. Waits are measured with it."""
        ...


class SystemClock:
    """The machine's own clocks. Plain attributes, so a call costs no Python frame."""

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)


# Linux's monotonic clock stands while the machine is suspended, and this one does not.
_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", None)
boottime = time.monotonic if _BOOTTIME is None else partial(time.clock_gettime, _BOOTTIME)
"""Seconds since the machine started, suspension included where the system can tell."""
