"""The last 24 hours of all hooks, which pages share."""

import asyncio
from collections.abc import Mapping

from consumer.errors import HookstreamError
from consumer.journal.report_reader import Reports
from consumer.panel.pages.day_reports import (
    FRESH_SECONDS,
    STALE_READINGS,
    DayReports,
)
from support.fakes import FakeClock
from support.page_data import PageData, full


class SlowData(PageData):
    """Reports that come when a test says so."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.report_list = full(clock).report_list
        self.asked = asyncio.Event()
        self.ready = asyncio.Event()
        self.readings = 0
        self.fails = False

    async def reports(self, values: Mapping[str, str]) -> Reports:
        """The reports, or an error."""
        self.readings += 1
        self.asked.set()
        await self.ready.wait()
        if self.fails:
            raise HookstreamError("away")
        return await super().reports(values)


async def test_a_page_does_not_wait_for_reports_and_all_share_one_reading() -> None:
    """While they are read a page is told that they are not known; then all have them at once."""
    clock = FakeClock()
    data = SlowData(clock)
    day = DayReports(data, clock)
    assert await asyncio.gather(*(day.get(0.001) for _ in range(5))) == [None] * 5
    data.ready.set()
    found = await day.get(10)
    assert found is not None
    assert found.days["click-analytics"].figures.delivered > 0
    assert found.exists
    assert data.readings == 1
    assert await day.get(0.001) is found
    assert data.readings == 1
    await day.close()


async def test_older_figures_are_shown_while_newer_ones_are_read_and_not_for_ever() -> None:
    """A broker that is away leaves the figures for a while; after that nothing is claimed."""
    clock = FakeClock()
    data = SlowData(clock)
    data.ready.set()
    day = DayReports(data, clock)
    found = await day.get(10)
    data.fails = True
    clock.advance(FRESH_SECONDS + 1)
    assert await day.get(10) is found
    assert data.readings == 2
    clock.advance(FRESH_SECONDS * STALE_READINGS)
    assert await day.get(10) is None
    await day.close()


async def test_figures_that_take_long_are_read_less_often() -> None:
    """Reading takes a twentieth of the time at most, however many hooks there are."""
    clock = FakeClock()
    data = SlowData(clock)
    day = DayReports(data, clock)
    asking = asyncio.create_task(day.get(10))
    await data.asked.wait()
    clock.advance(10)
    data.ready.set()
    await asking
    clock.advance(199)
    await day.get(10)
    assert data.readings == 1
    clock.advance(2)
    await day.get(10)
    assert data.readings == 2
    await day.close()
