"""The counts of the last day of every hook, from the reports."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from consumer.clock import Clock
from consumer.errors import HookstreamError
from consumer.journal.report_reader import read_reports
from consumer.journal.report_sums import Report, ReportFilter, Step
from consumer.logs import get_logger
from consumer.settings import KafkaSettings

log = get_logger(__name__)

DAY_SECONDS: Final = 24 * 3600.0
FRESH_SECONDS: Final = 15.0
"""How long counts are shown: replicas write them every few seconds at most."""
WAIT_SECONDS: Final = 2.0
"""How long a look at hooks waits for them."""


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


class DayCounter:
    """Reads the counts, at most once in `FRESH_SECONDS`. Nothing waits long for them."""

    def __init__(self, settings: KafkaSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._counts: Mapping[str, DayCounts] | None = None
        self._began_at = float("-inf")
        """Monotonic seconds at which the last read began."""
        self._reading: asyncio.Task[None] | None = None

    async def counts(self) -> Mapping[str, DayCounts] | None:
        """By hook, of those that have any; None: they cannot be read now, or not so soon."""
        now = self._clock.monotonic()
        is_idle = self._reading is None or self._reading.done()
        if is_idle and now - self._began_at >= FRESH_SECONDS:
            self._began_at = now
            self._reading = asyncio.create_task(self._read())
        if self._reading is not None and not self._reading.done():
            # Of many looks while the broker is away only the first ones wait.
            wait = max(0.0, self._began_at + WAIT_SECONDS - now)
            await asyncio.wait([self._reading], timeout=wait)
        return self._counts

    async def close(self) -> None:
        """Stop reading."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])

    async def _read(self) -> None:
        wanted = ReportFilter(since=self._clock.now() - DAY_SECONDS)
        try:
            found = await read_reports(self._settings, wanted, Step.HOUR, self._clock)
        except HookstreamError as error:
            log.debug("the reports cannot be read", problem=str(error))
            self._counts = None
            return
        counts: dict[str, DayCounts] = defaultdict(DayCounts)
        for report in found.reports:
            counts[report.hook] = counts[report.hook].plus(report)
        self._counts = dict(counts) if found.exists else None
