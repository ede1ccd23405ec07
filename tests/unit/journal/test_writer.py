"""The writer: one write for log and reports, tried again with the same records."""

from collections.abc import Sequence

import pytest

from consumer.errors import HookstreamError
from consumer.journal.writer import FLUSH_SECONDS, MAX_FLUSH_SECONDS
from consumer.stream.batch_builder import LogRecord
from consumer.stream.log_producer import UnwritableError
from support.fakes import make_hook
from support.journal_harness import OWN, FakeLogCluster, JournalHarness

HOOK = make_hook()


def _attempt(journal: JournalHarness, status: int = 200) -> None:
    journal.scheduler.submit(HOOK)
    journal.scheduler.transport.answer(status)


async def test_the_log_comes_before_the_reports() -> None:
    """A write has the log first and then the reports: without transactions a failure between them
    leaves attempts that are logged and not counted, not the reverse.
    """
    journal = JournalHarness()
    _attempt(journal)
    _attempt(journal, 404)
    await journal.write()
    topics = [record.topic for record in journal.cluster.records]
    assert topics == [OWN.deliveries, OWN.deliveries, OWN.reports]


async def test_only_changed_reports_are_written() -> None:
    """A report is written again once its counts have changed, with all that the hour has."""
    journal = JournalHarness(successes=0.0)
    _attempt(journal)
    await journal.write()
    journal.scheduler.submit(make_hook("h2"))
    journal.scheduler.transport.answer(200)
    await journal.write()
    _attempt(journal)
    await journal.write()
    await journal.write()
    written = [record.key.decode().partition("|")[0] for record in journal.cluster.records]
    assert written == ["h1", "h2", "h1"]
    assert {report.hook: report.delivered for report in journal.cluster.reports} == {
        "h1": 2,
        "h2": 1,
    }


async def test_a_write_that_failed_is_tried_again_with_the_same_records() -> None:
    """Records whose write failed are written once the cluster takes them, with the counts that
    belong to them; what came meanwhile follows.
    """
    journal = JournalHarness()
    journal.cluster.error = HookstreamError("away")
    _attempt(journal)
    for _ in range(3):
        await journal.write()
    _attempt(journal)
    journal.cluster.error = None
    await journal.write()
    assert [record.delivery for record in journal.cluster.log] == ["h1-1"]
    assert [report.delivered for report in journal.cluster.reports] == [1]
    await journal.write()
    assert [record.delivery for record in journal.cluster.log] == ["h1-1", "h1-2"]
    assert [report.delivered for report in journal.cluster.reports] == [2]
    assert journal.writer.dropped == 0


async def test_a_write_without_confirmation_is_not_written_twice() -> None:
    """Records whose commit was not confirmed are passed to the producer as the same list, by which
    it finds out that they are there.
    """
    journal = JournalHarness()
    journal.cluster.error, journal.cluster.is_silent = HookstreamError("unknown"), True
    _attempt(journal)
    await journal.write()
    await journal.write()
    journal.cluster.error = None
    await journal.write()
    assert [record.delivery for record in journal.cluster.log] == ["h1-1"]


async def test_memory_is_bounded_while_the_cluster_is_away() -> None:
    """While the cluster takes nothing, rows beyond the queue's bound are dropped and counted; once
    it takes records again, the log goes on without a restart and the reports count everything.
    """
    journal = JournalHarness(max_rows=10)
    journal.cluster.error = HookstreamError("away")
    for _ in range(5):
        for _ in range(10):
            _attempt(journal)
        await journal.write()
    assert journal.observer.waiting == 10
    assert journal.writer.dropped == 30
    journal.cluster.error = None
    await journal.write()
    await journal.write()
    assert len(journal.cluster.log) == 20
    assert [report.delivered for report in journal.cluster.reports] == [50]


async def test_what_cannot_be_written_is_dropped_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Without its topic the log drops and counts its records, says so once, and writes again once
    the topic is there; the reports then count everything.
    """
    caplog.set_level("INFO")
    journal = JournalHarness()
    journal.cluster.error = UnwritableError("no topic")
    for _ in range(3):
        _attempt(journal)
        await journal.write()
    assert journal.writer.dropped == 3
    journal.cluster.error = None
    _attempt(journal)
    await journal.write()
    await journal.write()
    assert [record.delivery for record in journal.cluster.log] == ["h1-4"]
    assert [report.delivered for report in journal.cluster.reports] == [4]
    said = [record.message for record in caplog.records if record.levelname != "DEBUG"]
    assert [line.partition(";")[0] for line in said] == [
        "the delivery log cannot be written",
        "the delivery log is written again",
    ]


@pytest.mark.parametrize("failures", [1, 2, 5])
async def test_counts_outlive_what_cannot_be_written(failures: int) -> None:
    """The counts of attempts whose records were dropped are in the reports once the cluster takes
    records again, also of a hook without another attempt.
    """
    journal = JournalHarness()
    journal.cluster.error = UnwritableError("no topic")
    _attempt(journal)
    for _ in range(failures):
        await journal.write()
        journal.clock.advance(3_600.0)
        journal.scheduler.submit(make_hook("h2"))
        journal.scheduler.transport.answer(200)
    journal.cluster.error = None
    for _ in range(3):
        await journal.write()
    delivered = [(report.hook, report.delivered) for report in journal.cluster.reports]
    assert sorted(delivered) == [("h1", 1), *[("h2", 1)] * failures]


async def test_a_bug_in_the_producer_ends_nothing() -> None:
    """An unforeseen error of a write drops and counts its records, and the writer goes on."""

    class Broken(FakeLogCluster):
        async def write(self, records: Sequence[LogRecord]) -> None:
            raise ZeroDivisionError(len(records))

    journal = JournalHarness()
    journal.writer._producer = Broken()
    _attempt(journal)
    await journal.write()
    assert journal.writer.dropped == 1


async def test_a_stop_writes_the_rest() -> None:
    """A stop writes what is left, within its time, and the writer ends."""
    journal = JournalHarness()
    _attempt(journal)
    await journal.writer.close(5.0)
    await journal.writer.run()  # it returns at once
    assert [record.delivery for record in journal.cluster.log] == ["h1-1"]
    assert journal.writer.dropped == 0


async def test_a_stop_gives_up_in_time() -> None:
    """A stop while the cluster takes nothing ends within its time, and counts what is left."""
    journal = JournalHarness()
    journal.cluster.error = HookstreamError("away")
    _attempt(journal)
    await journal.write()
    _attempt(journal)
    await journal.writer.close(0.05)
    assert journal.writer.dropped == 2


async def test_tries_become_rarer() -> None:
    """While writes fail, the time between two tries doubles up to its bound; once they succeed, it
    is the usual one.
    """
    journal = JournalHarness()
    journal.cluster.error = HookstreamError("away")
    _attempt(journal)
    await journal.run_until(lambda: len(journal.sleeps) >= 6, "tries")
    assert journal.sleeps[:6] == [FLUSH_SECONDS, 2.0, 4.0, 8.0, MAX_FLUSH_SECONDS, 10.0]
    journal.cluster.error = None
    del journal.sleeps[:]
    await journal.run_until(lambda: len(journal.sleeps) >= 2, "a write")
    assert journal.sleeps[:2] == [FLUSH_SECONDS, FLUSH_SECONDS]
