"""Tells whether this process is short of CPU: its thread ran, or waited to run, nearly always."""

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
    """Measures from call to call."""

    def __init__(self, wanted: Callable[[], float], now: float) -> None:
        """`wanted`: like `seconds_wanted`; `now`: monotonic seconds."""
        self._wanted = wanted
        self._last = wanted(), now

    def is_short(self, now: float) -> bool:
        """Whether the process had no time to spare since the last call."""
        (wanted_before, then), self._last = self._last, (self._wanted(), now)
        return self._last[0] - wanted_before > _SHORT_SHARE * (now - then)
