"""The last 24 hours of all hooks: one reading of them serves the API and all pages."""

import asyncio
from threading import Event

import pytest

from consumer.errors import HookstreamError
from consumer.journal.report_reader import Reports
from consumer.journal.report_sums import HOUR_SECONDS, Report, ReportFilter, Step
from consumer.panel.pages import day_reports
from consumer.panel.pages.day_reports import DayReports, LastDay
from consumer.services import last_day
from consumer.services.last_day import (
    DAY_SECONDS,
    FRESH_SECONDS,
    STALE_READINGS,
    DayCounts,
    DayReader,
)
from support.fakes import FakeClock
from support.waiting import PATIENCE, wait_until


class _Topic:
    """The reports in memory, which come when a test says so."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.ready = asyncio.Event()
        self.ready.set()
        self.reads = 0
        self.fails = False
        self.day = DayReader(self.read, clock)

    async def read(self, wanted: ReportFilter, step: Step) -> Reports:
        """The reports, or an error."""
        self.reads += 1
        now = self._clock.now()
        assert (wanted.since, step) == (now - DAY_SECONDS, Step.HOUR)
        await self.ready.wait()
        if self.fails:
            raise HookstreamError("away")
        hour = now - now % HOUR_SECONDS
        found = [
            _report("a", hour, 3),
            _report("a", hour - 23 * HOUR_SECONDS, 4),
            _report("a", hour - 24 * HOUR_SECONDS, 100),
            _report("b", hour, 0),
        ]
        return Reports(found, exists=True, passed_over=0)


def _report(hook: str, start: float, delivered: int) -> Report:
    return Report(
        hook=hook, start=start, seconds=3600.0, delivered=delivered, retried=1, overflowed=0,
        dead_lettered={"expired": 2}, attempts={"2xx": delivered, "5xx": 1}, percentiles={},
    )  # fmt: skip


async def test_api_and_pages_share_one_reading_and_count_the_same_hours() -> None:
    """A hook's counts are the sums of the last 24 hours, the same in the API and on its page, from
    one reading, which is made again after some seconds only.
    """
    clock = FakeClock()
    topic = _Topic(clock)
    pages = DayReports(topic.day)
    for _ in range(3):
        found, shown = await topic.day.get(10), await pages.get(10)
        assert found is not None
        assert shown is not None
        assert found.counts == {"a": DayCounts(7, 2, 0, 4, 9), "b": DayCounts(0, 1, 0, 2, 1)}
        figures = shown.days["a"].figures
        assert (figures.delivered, figures.given_up, figures.attempt_count) == (7, 4, 9)
    assert topic.reads == 1
    clock.advance(FRESH_SECONDS)
    await pages.get(10)
    assert topic.reads == 2
    await topic.day.close()


async def test_a_page_does_not_wait_for_reports_and_all_share_one_reading() -> None:
    """While they are read a page is told that they are not known; then all have them at once, and
    their charts are made once.
    """
    topic = _Topic(FakeClock())
    topic.ready.clear()
    pages = DayReports(topic.day)
    assert await asyncio.gather(*(pages.get(0.001) for _ in range(5))) == [None] * 5
    topic.ready.set()
    found = await asyncio.gather(*(pages.get(10) for _ in range(5)))
    assert found[0] is not None
    assert found[0].exists
    assert all(one is found[0] for one in found)
    assert topic.reads == 1
    await topic.day.close()


async def test_older_figures_are_shown_while_newer_ones_are_read_and_not_for_ever() -> None:
    """A broker that is away leaves the figures for a while, and is not asked at each look; after
    that nothing is claimed.
    """
    clock = FakeClock()
    topic = _Topic(clock)
    found = await topic.day.get(10)
    topic.fails = True
    clock.advance(FRESH_SECONDS + 1)
    assert [await topic.day.get(10) for _ in range(3)] == [found] * 3
    assert topic.reads == 2
    clock.advance(FRESH_SECONDS * STALE_READINGS)
    assert await topic.day.get(10) is None
    topic.fails = False
    clock.advance(FRESH_SECONDS)
    assert await topic.day.get(10) is not None
    await topic.day.close()


async def test_a_look_does_not_wait_for_a_read_that_hangs() -> None:
    """While a read hangs, only looks soon after its begin wait: later ones have what there is."""
    clock = FakeClock()
    topic = _Topic(clock)
    before = await topic.day.get(2)
    topic.ready.clear()
    clock.advance(FRESH_SECONDS)
    first = asyncio.create_task(topic.day.get(2))
    await wait_until(lambda: topic.reads == 2, "the second read")
    clock.advance(2)
    assert await topic.day.get(2) is before
    topic.ready.set()
    newer = await first
    assert newer is not None
    assert newer is not before
    await topic.day.close()


async def test_figures_that_take_long_are_read_less_often() -> None:
    """Reading takes a twentieth of the time at most, however many hooks there are."""
    clock = FakeClock()
    topic = _Topic(clock)
    topic.ready.clear()
    asking = asyncio.create_task(topic.day.get(60))
    await wait_until(lambda: topic.reads == 1, "the first read")
    clock.advance(10)
    topic.ready.set()
    await asking
    clock.advance(199)
    await topic.day.get(10)
    assert topic.reads == 1
    clock.advance(2)
    await topic.day.get(10)
    assert topic.reads == 2
    await topic.day.close()


async def test_pages_do_not_wait_while_figures_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """While figures are made of very many new reports, pages show the ones before, and then the new
    ones.
    """
    clock, may_end, made = FakeClock(), Event(), day_reports._last_day
    day = DayReports(_Topic(clock).day)
    first = await day.get(PATIENCE)
    assert first is not None

    def slow(found: last_day.LastDay) -> LastDay:
        assert may_end.wait(PATIENCE)
        return made(found)

    monkeypatch.setattr(day_reports, "_last_day", slow)
    clock.advance(FRESH_SECONDS)
    assert await day.get(0.01) is first
    may_end.set()
    assert await day.get(PATIENCE) is not first
