"""The reports of the last day, read once for all who ask: lists must not wait for them."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from consumer.background import in_thread
from consumer.clock import Clock
from consumer.errors import HookstreamError
from consumer.journal.report_reader import Reports
from consumer.journal.report_sums import HOUR_SECONDS, Report, ReportFilter, Step
from consumer.logs import get_logger

log = get_logger(__name__)

DAY_HOURS: Final = 24
DAY_SECONDS: Final = DAY_HOURS * HOUR_SECONDS
FRESH_SECONDS: Final = 15.0
"""Age from which they are read again. Replicas write them every few seconds at most."""
MAX_READING_SHARE: Final = 0.05
"""Of the time that may be spent on reading: with very many hooks they are read less often."""
STALE_READINGS: Final = 20.0
"""How often they are read late before they are not shown any more."""


@dataclass(frozen=True, slots=True)
class DayCounts:
    """What happened to one hook within 24 hours, over all replicas."""

    delivered: int = 0
    retried: int = 0
    overflowed: int = 0
    dead_lettered: int = 0
    attempts: int = 0

    def plus(self, report: Report) -> "DayCounts":
        """These counts and an hour's."""
        return DayCounts(
            self.delivered + report.delivered,
            self.retried + report.retried,
            self.overflowed + report.overflowed,
            self.dead_lettered + sum(report.dead_lettered.values()),
            self.attempts + report.attempt_count,
        )


@dataclass(frozen=True, slots=True)
class LastDay:
    """The last 24 hours of all hooks."""

    reports: Sequence[Report]
    """By the hour."""
    counts: Mapping[str, DayCounts]
    """By hook, of those that were at work."""
    exists: bool
    """Whether there is a topic of reports."""
    now: float
    """Epoch seconds at which they were read."""


class ReadReports(Protocol):
    """Reads reports. Raises `HookstreamError`."""

    async def __call__(self, wanted: ReportFilter, step: Step, /) -> Reports:
        """The reports of a filter."""
        ...


class DayReader:
    """Reads the reports of the last day; it is the one holder of them."""

    def __init__(self, read: ReadReports, clock: Clock) -> None:
        self._read_reports = read
        self._clock = clock
        self._found: LastDay | None = None
        self._found_at = float("-inf")
        """Monotonic seconds, as below."""
        self._began_at = float("-inf")
        self._took = 0.0
        self._reading: asyncio.Task[None] | None = None

    async def get(self, seconds: float) -> LastDay | None:
        """The last day: read anew, or a little older if that takes longer than `seconds`; None: it
        is not known yet, or cannot be read.
        """
        now = self._clock.monotonic()
        fresh = max(FRESH_SECONDS, self._took / MAX_READING_SHARE)
        is_idle = self._reading is None or self._reading.done()
        if is_idle and now - max(self._found_at, self._began_at) >= fresh:
            self._began_at = now
            self._reading = asyncio.create_task(self._read())
        if self._reading is not None and not self._reading.done():
            # Of many looks while the broker is away only the first ones wait.
            wait = max(0.0, self._began_at + seconds - now)
            await asyncio.wait([self._reading], timeout=wait)
        age = self._clock.monotonic() - self._found_at
        return self._found if age <= fresh * STALE_READINGS else None

    async def close(self) -> None:
        """Stop reading."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])

    async def _read(self) -> None:
        begun, now = self._clock.monotonic(), self._clock.now()
        try:
            found = await self._read_reports(ReportFilter(since=now - DAY_SECONDS), Step.HOUR)
        except HookstreamError as error:
            log.warning("reports cannot be read", error=str(error))
            return
        counts = await in_thread(partial(_counts, found.reports, now))
        self._found = LastDay(found.reports, counts, found.exists, now)
        self._found_at = self._clock.monotonic()
        self._took = self._found_at - begun


def hour_of_day(start: float, now: float) -> int | None:
    """Which of the last 24 hours begins at `start`, 0 to 23, the present one last; None: none of
    them. Both are epoch seconds.
    """
    first = now - now % HOUR_SECONDS - (DAY_HOURS - 1) * HOUR_SECONDS
    index = int((start - first) // HOUR_SECONDS)
    return index if 0 <= index < DAY_HOURS else None


def _counts(reports: Iterable[Report], now: float) -> dict[str, DayCounts]:
    found: defaultdict[str, DayCounts] = defaultdict(DayCounts)
    for report in reports:
        if hour_of_day(report.start, now) is not None:
            found[report.hook] = found[report.hook].plus(report)
    return dict(found)
