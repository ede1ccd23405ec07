"""Tells how busy this process is: for how long its thread ran, or waited to run."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

_SHORT_SHARE: Final = 0.9
_SCHEDSTAT: Final = Path("/proc/thread-self/schedstat")


def seconds_wanted() -> float:
    """Seconds in which the calling thread ran or waited for a processor
    (https://docs.kernel.org/scheduler/sched-stats.html); where the system does not tell, those in
    which it ran.
    """
    try:
        ran, waited, _ = map(int, _SCHEDSTAT.read_text().split())
    except (OSError, ValueError):
        return time.thread_time()
    return (ran + waited) / 1e9


class Processor:
    """Measures from call to call of either method."""

    def __init__(self, wanted: Callable[[], float], now: float) -> None:
        """`wanted`: like `seconds_wanted`; `now`: monotonic seconds."""
        self._wanted = wanted
        self._last = wanted(), now

    def busy(self, now: float) -> float:
        """The share of the time since the last call in which the process ran or waited to run, in
        [0, 1].
        """
        (wanted_before, then), self._last = self._last, (self._wanted(), now)
        passed = now - then
        return min(1.0, (self._last[0] - wanted_before) / passed) if passed > 0.0 else 0.0

    def is_short(self, now: float) -> bool:
        """Whether the process had no time to spare since the last call."""
        return self.busy(now) > _SHORT_SHARE
