"""What the delivery log and the reports hold, and the reports that follow from the log."""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from consumer.journal.records import (
    DeliveryRecord,
    Followed,
    ReportRecord,
    read_delivery,
    read_report,
)
from consumer.metrics import status_label
from consumer.metrics.hooks import ATTEMPT_BUCKETS
from support.cluster import Placed
from support.definition_topics import committed
from support.workspace import Workspace


@dataclass
class Sums:
    """The counts of one hook and hour, over all replicas."""

    delivered: int = 0
    retried: int = 0
    overflowed: int = 0
    dead_lettered: Counter[str] = field(default_factory=Counter)
    attempts: Counter[str] = field(default_factory=Counter)
    latency: list[int] = field(default_factory=lambda: [0] * (len(ATTEMPT_BUCKETS) + 1))


HookHours = dict[tuple[str, str], Sums]


async def read_log(workspace: Workspace) -> list[tuple[Placed, DeliveryRecord]]:
    """The committed records of the delivery log, each with its place."""
    topic, _ = workspace.log_topics
    found = []
    for record in await committed(workspace.cluster, topic):
        read = read_delivery(record.value)
        assert isinstance(read, DeliveryRecord), read
        found.append((record, read))
    return found


async def read_reports(workspace: Workspace) -> list[ReportRecord]:
    """The last committed report of each key."""
    _, topic = workspace.log_topics
    found = {}
    for record in await committed(workspace.cluster, topic):
        read = read_report(record.value)
        assert isinstance(read, ReportRecord), read
        assert record.key == f"{read.hook}|{read.hour}|{read.replica}".encode()
        found[record.key] = read
    return list(found.values())


def summed(reports: Iterable[ReportRecord]) -> HookHours:
    """The sums over the replicas."""
    sums: HookHours = defaultdict(Sums)
    for report in reports:
        its = sums[report.hook, report.hour]
        its.delivered += report.delivered
        its.retried += report.retried
        its.overflowed += report.overflowed
        its.dead_lettered.update(report.dead_lettered)
        its.attempts.update(report.attempts)
        its.latency = [a + b for a, b in zip(its.latency, report.latency, strict=True)]
    return dict(sums)


def recounted(records: Iterable[DeliveryRecord]) -> HookHours:
    """The sums that the log gives."""
    sums: HookHours = defaultdict(Sums)
    for record in records:
        its = sums[record.hook, record.at[:13]]
        if record.attempt:
            its.attempts[status_label(record.status or 0, record.error)] += 1
            its.latency[bisect_left(ATTEMPT_BUCKETS, record.ms.all / 1000)] += 1
        match record.outcome:
            case Followed.DELIVERED:
                its.delivered += 1
            case Followed.RETRY:
                its.retried += 1
            case Followed.OVERFLOW:
                its.overflowed += 1
            case Followed.DEAD_LETTER:
                its.dead_lettered[record.reason or ""] += 1
    return dict(sums)
