"""Reads the topic of the reports."""

from contextlib import aclosing
from dataclasses import dataclass
from functools import partial

from consumer.background import in_thread
from consumer.clock import Clock
from consumer.journal.report_sums import HOUR_SECONDS, Report, ReportFilter, ReportTable, Step
from consumer.settings import KafkaSettings
from consumer.stream.forward_reader import read_forwards
from consumer.stream.partitions_reader import PartitionsReader


@dataclass(frozen=True, slots=True)
class Reports:
    """The reports that were wanted."""

    reports: list[Report]
    """By hook, then by time."""
    exists: bool
    """Whether there is a topic of reports."""
    passed_over: int
    """Records of the topic that are no reports of the installation, of those that had to be read.
    """


async def read_reports(
    settings: KafkaSettings, wanted: ReportFilter, step: Step, clock: Clock
) -> Reports:
    """The reports as of now, summed over the replicas. The memory is that of one record for each
    wanted hook, hour and replica.

    Raises:
        HookstreamError: the broker does not answer, or refuses, or a record cannot be read.
    """
    table = ReportTable(wanted, settings.group_id)
    # A record is written in its hour or later.
    since = None if wanted.since is None else wanted.since - wanted.since % HOUR_SECONDS
    async with PartitionsReader(settings, [settings.own_topics.reports], clock) as partitions:
        spans = await partitions.spans(None if since is None else int(since * 1000), None)
        may_match = table.may_match if wanted.hook is not None else None
        for one in spans.items():
            async with aclosing(read_forwards(partitions, *one, clock, may_match)) as records:
                async for record in records:
                    table.take(record)
        exists = bool(partitions.logs)
    # Tens of microseconds for each report: the loop must go on.
    reports = await in_thread(partial(table.reports, step, clock.now()))
    return Reports(reports, exists, table.passed_over)
