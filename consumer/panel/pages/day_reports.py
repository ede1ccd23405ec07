"""The reports of the last day, kept for a while: pages must not wait for thousands of hooks."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from consumer.clock import Clock
from consumer.errors import HookstreamError
from consumer.journal.report_sums import Report, Step
from consumer.logs import get_logger
from consumer.panel.pages.data import Data
from consumer.panel.pages.figures import Day, ReportFigures, days, report_figures

log = get_logger(__name__)

FRESH_SECONDS: Final = 15.0
"""Age from which they are read again."""
MAX_READING_SHARE: Final = 0.05
"""Of the time that may be spent on reading: with very many hooks they are read less often."""
STALE_READINGS: Final = 20.0
"""How often they are read late before they are not shown any more."""
GLANCE_SECONDS: Final = 0.1
"""How long the list of hooks waits for newer ones before it shows those that there are."""
PATIENCE_SECONDS: Final = 15.0
"""How long the page of reports waits for the first ones."""


@dataclass(frozen=True, slots=True)
class LastDay:
    """The last 24 hours of all hooks."""

    days: Mapping[str, Day]
    """By hook, of those that were at work."""
    figures: ReportFigures
    exists: bool
    """Whether there is a topic of reports."""


class DayReports:
    """Reads the last 24 hours of all hooks, once for all who ask at the same time."""

    def __init__(self, data: Data, clock: Clock) -> None:
        self._data = data
        self._clock = clock
        self._found: LastDay | None = None
        self._at = 0.0
        self._took = 0.0
        self._reading: asyncio.Task[None] | None = None

    async def get(self, seconds: float = GLANCE_SECONDS) -> LastDay | None:
        """The last 24 hours, new or a little older if `seconds` do not suffice; None: they are not
        known yet, or cannot be read.
        """
        fresh = max(FRESH_SECONDS, self._took / MAX_READING_SHARE)
        if self._found is None or self._age() > fresh:
            if self._reading is None or self._reading.done():
                self._reading = asyncio.get_running_loop().create_task(self._read())
            await asyncio.wait([self._reading], timeout=seconds)
        return self._found if self._age() <= fresh * STALE_READINGS else None

    async def close(self) -> None:
        """End a reading that is under way."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])

    def _age(self) -> float:
        return self._clock.monotonic() - self._at

    async def _read(self) -> None:
        begun = self._clock.monotonic()
        try:
            found = await self._data.reports({"since": "24h"})
        except HookstreamError as error:
            log.warning("reports cannot be read", error=str(error))
            return
        made = await asyncio.to_thread(_last_day, found.reports, self._clock.now(), found.exists)
        self._found, self._at = made, self._clock.monotonic()
        self._took = self._at - begun


def _last_day(reports: Sequence[Report], now: float, exists: bool) -> LastDay:  # noqa: FBT001
    return LastDay(days(reports, now), report_figures(reports, Step.HOUR), exists)
