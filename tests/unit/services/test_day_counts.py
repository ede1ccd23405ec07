"""The counts of a day: read seldom, and never waited for long."""

import asyncio

import pytest

from consumer.clock import Clock
from consumer.errors import HookstreamError
from consumer.journal.report_reader import Reports
from consumer.journal.report_sums import Report, ReportFilter, Step
from consumer.services import day_counts
from consumer.services.day_counts import FRESH_SECONDS, WAIT_SECONDS, DayCounter, DayCounts
from consumer.settings import KafkaSettings
from support.fakes import FakeClock
from support.waiting import wait_until


def _report(hook: str, delivered: int) -> Report:
    return Report(
        hook=hook, start=0.0, seconds=3600.0, delivered=delivered, retried=1, overflowed=0,
        dead_lettered={"expired": 2}, attempts={"2xx": delivered, "5xx": 1}, percentiles={},
    )  # fmt: skip


class _Topic:
    """The reports in memory."""

    def __init__(self) -> None:
        self.reads = 0
        self.error: HookstreamError | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def read(
        self, _settings: KafkaSettings, _wanted: ReportFilter, _step: Step, _clock: Clock
    ) -> Reports:
        self.reads += 1
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return Reports([_report("a", 3), _report("a", 4), _report("b", 0)], exists=True,
                       passed_over=0)  # fmt: skip


@pytest.fixture
async def topic(monkeypatch: pytest.MonkeyPatch) -> _Topic:
    """The topic that is read."""
    topic = _Topic()
    monkeypatch.setattr(day_counts, "read_reports", topic.read)
    await asyncio.sleep(0)
    return topic


async def test_counts_are_sums_of_hours_and_read_seldom(topic: _Topic) -> None:
    """A hook's counts are the sum of its reports; they are read again after some seconds only."""
    clock = FakeClock()
    counter = DayCounter(KafkaSettings(), clock)
    for _ in range(3):
        counts = await counter.counts()
        assert counts == {"a": DayCounts(7, 2, 0, 4, 9), "b": DayCounts(0, 1, 0, 2, 1)}
    assert topic.reads == 1
    clock.advance(FRESH_SECONDS)
    await counter.counts()
    assert topic.reads == 2
    await counter.close()


async def test_counts_that_cannot_be_read_are_unknown(topic: _Topic) -> None:
    """Without an answer of the broker the counts are unknown, and it is asked again later only."""
    clock = FakeClock()
    counter = DayCounter(KafkaSettings(), clock)
    topic.error = HookstreamError("no broker answers")
    assert [await counter.counts() for _ in range(3)] == [None] * 3
    assert topic.reads == 1
    topic.error = None
    clock.advance(FRESH_SECONDS)
    assert await counter.counts() is not None
    await counter.close()


async def test_a_look_does_not_wait_for_a_read_that_hangs(topic: _Topic) -> None:
    """While a read hangs, looks have the counts of before at once."""
    clock = FakeClock()
    counter = DayCounter(KafkaSettings(), clock)
    before = await counter.counts()
    topic.gate.clear()
    clock.advance(FRESH_SECONDS)
    first = asyncio.create_task(counter.counts())
    await wait_until(lambda: topic.reads == 2, "the second read")
    clock.advance(WAIT_SECONDS)
    assert await counter.counts() == before
    topic.gate.set()
    assert await first == before
    await counter.close()
