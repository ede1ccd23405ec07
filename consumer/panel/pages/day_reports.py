"""The last 24 hours as pages show them: sums and charts, made once of each reading."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from consumer.background import in_thread
from consumer.journal.report_sums import Step
from consumer.panel.pages.figures import Day, ReportFigures, days, report_figures
from consumer.services import last_day as service
from consumer.services.last_day import DayReader

GLANCE_SECONDS: Final = 0.1
"""How long the list of hooks waits for newer reports before it shows those that there are."""
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
    read_at: float
    """Epoch seconds: what was written by then is counted."""


class DayReports:
    """The figures of what a `DayReader` has."""

    def __init__(self, reader: DayReader) -> None:
        self._reader = reader
        self._made_of: service.LastDay | None = None
        self._making: asyncio.Task[LastDay] | None = None
        self._made: LastDay | None = None
        """The last one that is made: shown while the next one is."""

    async def get(self, seconds: float = GLANCE_SECONDS) -> LastDay | None:
        """The last 24 hours, new or a little older if `seconds` do not suffice; None: they are not
        known yet, or cannot be read.
        """
        deadline = asyncio.get_running_loop().time() + seconds
        found = await self._reader.get(seconds)
        if found is None:
            return None
        return await self._of(found, deadline)

    async def figures(self, hook: str | None, seconds: float) -> LastDay | None:
        """The same with the figures of one hook; None as its id: of all."""
        deadline = asyncio.get_running_loop().time() + seconds
        found = await self._reader.get(seconds)
        if found is None:
            return None
        day = await self._of(found, deadline)
        if hook is None or day is None:
            return day
        own = [one for one in found.reports if one.hook == hook]
        return replace(day, figures=report_figures(own, Step.HOUR))

    async def _of(self, found: service.LastDay, deadline: float) -> LastDay | None:
        """What is made of `found`, or of the one before if that takes longer than until `deadline`
        on the loop's clock: of very many reports it takes a second.
        """
        if self._making is None or found is not self._made_of:
            self._made_of = found
            self._making = asyncio.create_task(in_thread(partial(_last_day, found)))
        making = self._making
        left = deadline - asyncio.get_running_loop().time()
        await asyncio.wait([making], timeout=max(0.0, left))
        if making.done():
            self._made = making.result()
        return self._made


def _last_day(found: service.LastDay) -> LastDay:
    figures = report_figures(found.reports, Step.HOUR)
    return LastDay(days(found.reports, found.now), figures, found.exists, found.now)
