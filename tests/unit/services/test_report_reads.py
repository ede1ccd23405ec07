"""Reads of the reports: a few at a time, and the others are told when they waited long."""

import asyncio

import pytest

from consumer.clock import Clock, SystemClock
from consumer.journal.report_reader import Reports
from consumer.journal.report_sums import ReportFilter, Step
from consumer.panel.errors import problem_of
from consumer.services import report_reads
from consumer.services.report_reads import MAX_READS, ReportReads
from consumer.services.topic_view import BusyError
from consumer.settings import KafkaSettings
from support.waiting import wait_until


async def always_there() -> None:
    """Kafka answers."""


WANTED = ReportFilter()


async def test_two_reads_at_a_time_and_the_next_waits_or_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At most two reads are under way; another one waits for its turn, and if that does not come
    in time the answer is 503 with Retry-After. A read that its client left gives its turn back.
    """
    under_way, most, go_on = 0, 0, asyncio.Event()

    async def read(
        _settings: KafkaSettings, _wanted: ReportFilter, _step: Step, _: Clock
    ) -> Reports:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        try:
            await go_on.wait()
        finally:
            under_way -= 1
        return Reports([], exists=True, passed_over=0)

    monkeypatch.setattr(report_reads, "read_reports", read)
    patient = ReportReads(KafkaSettings(), always_there, SystemClock())
    waiting = [asyncio.create_task(patient.read(WANTED, Step.HOUR)) for _ in range(2 * MAX_READS)]
    await wait_until(lambda: under_way == MAX_READS, "the reads to begin")
    left = waiting.pop(0)
    left.cancel()
    await asyncio.wait([left])
    await wait_until(lambda: under_way == MAX_READS, "the next one to begin")
    go_on.set()
    assert len(await asyncio.gather(*waiting)) == 2 * MAX_READS - 1
    assert most == MAX_READS

    go_on.clear()
    hasty = ReportReads(KafkaSettings(), always_there, SystemClock(), wait_seconds=0.01)
    running = [asyncio.create_task(hasty.read(WANTED, Step.HOUR)) for _ in range(MAX_READS)]
    await wait_until(lambda: under_way == MAX_READS, "the reads to begin")
    with pytest.raises(BusyError) as caught:
        await hasty.read(WANTED, Step.HOUR)
    problem = problem_of(caught.value)
    assert (problem.status, problem.details.type) == (503, "urn:hookstream:problem:busy")
    assert problem.headers["Retry-After"]
    go_on.set()
    await asyncio.gather(*running)
