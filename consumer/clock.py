"""The clock interface: only the composition root creates a clock, all else is given one."""

import time
from functools import partial
from typing import Protocol


class Clock(Protocol):
    """A wall clock and a monotonic clock."""

    def now(self) -> float:
        """Seconds since the Unix epoch; jumps when the machine's clock is set."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary start, never decreasing; for measuring waits."""
        ...


class SystemClock:
    """The machine's clocks. Plain attributes, so a call costs no Python frame."""

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)


# Linux's monotonic clock stops while the machine is suspended; this one does not.
_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", None)
boottime = time.monotonic if _BOOTTIME is None else partial(time.clock_gettime, _BOOTTIME)
"""Seconds since boot, including suspension if the system supports it."""
