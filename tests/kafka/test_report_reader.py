"""Reports read from a real broker; the records are written by hand."""

import asyncio
import threading
from collections.abc import Iterable

import pytest

from consumer.clock import SystemClock
from consumer.journal.records import ReportRecord, report_key, report_value
from consumer.journal.report_reader import read_reports
from consumer.journal.report_sums import Report, ReportFilter, ReportTable, Step
from consumer.records.record import Record
from consumer.services import reports
from consumer.settings import KafkaSettings
from support.cluster import Cluster
from support.definition_topics import kafka_settings
from support.waiting import wait_until

QUICK = {
    "cleanup.policy": "compact,delete",
    "segment.ms": "100",
    "min.cleanable.dirty.ratio": "0.01",
    "max.compaction.lag.ms": "200",
    "min.compaction.lag.ms": "0",
}
"""Compaction and new segments as soon as the broker can."""
HOURS = [f"2026-11-29T{hour:02}" for hour in range(4)]
HOOKS = ("a", "b", "c")
REPLICAS = ("r-1", "r-2")
ALL = ReportFilter()
GROUP = KafkaSettings().group_id


async def _write(cluster: Cluster, topic: str, records: Iterable[ReportRecord]) -> None:
    async with cluster.producer() as producer:
        for one in records:
            key = report_key(one.hook, one.hour, one.replica)
            await producer.send_and_wait(topic, report_value(one, GROUP), key=key)


def _records(delivered: int) -> list[ReportRecord]:
    """The counts so far of each hook, hour and replica."""
    return [
        ReportRecord(
            hook=hook,
            hour=hour,
            replica=replica,
            delivered=delivered,
            attempts={"2xx": delivered},
            latency=(delivered, 0),
            bounds=(1.0,),
        )
        for hook in HOOKS
        for hour in HOURS
        for replica in REPLICAS
    ]


async def test_the_loop_goes_on_while_reports_are_summed(
    cluster: Cluster, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The event loop goes on while the reports of many hooks are summed: other pages are answered
    meanwhile.
    """
    settings, loop = kafka_settings(cluster.bootstrap, topic_prefix), asyncio.get_running_loop()
    went_on = threading.Event()

    def sums(*_: object) -> list[Report]:
        loop.call_soon_threadsafe(went_on.set)
        assert went_on.wait(10)
        return []

    monkeypatch.setattr(ReportTable, "reports", sums)
    assert (await read_reports(settings, ALL, Step.HOUR, SystemClock())).reports == []


async def _first_offsets(settings: KafkaSettings, cluster: Cluster) -> int:
    return len(await cluster.read(settings.own_topics.reports))


async def test_reports_are_the_last_records_of_their_keys(
    cluster: Cluster, topic_prefix: str
) -> None:
    """Reports hold what each replica counted last, in several partitions, before and after the log
    is compacted; other records are counted and passed over.
    """
    settings, clock = kafka_settings(cluster.bootstrap, topic_prefix), SystemClock()
    topic = settings.own_topics.reports
    found = await read_reports(settings, ALL, Step.HOUR, clock)
    assert (found.exists, found.reports) == (False, [])
    await cluster.create([topic], partitions=3, configs=QUICK)
    assert (await read_reports(settings, ALL, Step.HOUR, clock)).reports == []
    for delivered in range(1, 6):
        await _write(cluster, topic, _records(delivered))
    await cluster.produce(topic, [b"strange"], key=b"x")
    keys = len(HOOKS) * len(HOURS) * len(REPLICAS)

    async def is_right() -> None:
        found = await read_reports(settings, ALL, Step.HOUR, clock)
        assert (found.exists, found.passed_over) == (True, 1)
        assert len(found.reports) == len(HOOKS) * len(HOURS)
        assert {(one.delivered, one.attempt_count) for one in found.reports} == {(10, 10)}
        [day] = (await read_reports(settings, ReportFilter("b"), Step.DAY, clock)).reports
        assert (day.hook, day.delivered) == ("b", 10 * len(HOURS))

    await is_right()

    async def is_compacted() -> bool:
        # A new record rolls the segment that holds the others.
        await _write(cluster, topic, _records(5)[:1])
        return await _first_offsets(settings, cluster) < 3 * keys

    await wait_until(is_compacted, "the topic to be compacted")
    await is_right()


async def test_a_person_asks_for_reports(cluster: Cluster, topic_prefix: str) -> None:
    """What a person asks for as texts is read, by default the last day by the hour."""
    settings = kafka_settings(cluster.bootstrap, topic_prefix)
    await cluster.create([settings.own_topics.reports], partitions=1)
    await _write(cluster, settings.own_topics.reports, _records(2))
    times = {"since": "2026-11-29T01:00:00Z", "until": "2026-11-29T03:00:00Z"}
    wanted, step = reports.parse({"hook": "a", **times}, 1_796_000_000.0)
    found = await read_reports(settings, wanted, step, SystemClock())
    assert [one.start for one in found.reports] == [1_795_914_000.0, 1_795_917_600.0]
    facts = reports.report_facts(found.reports[0])
    assert facts["start"] == "2026-11-29T01:00:00.000Z"
    assert (facts["delivered"], facts["success_share"]) == (4, 1.0)
    assert facts["ms"] == {"p50": 500.0, "p95": 950.0, "p99": 990.0}


async def test_reports_of_one_hook_parse_no_batch_of_others(
    cluster: Cluster, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For one hook, record batches without a key of it are left out before they are parsed, and
    records of other hooks before they are decoded; the counts are the same as without a filter.
    """
    settings = kafka_settings(cluster.bootstrap, topic_prefix)
    topic = settings.own_topics.reports
    await cluster.create([topic], partitions=1)
    for record in _records(3):
        await _write(cluster, topic, [record])
    parsed, take = list[Record](), ReportTable.take

    def take_noted(table: ReportTable, record: Record) -> None:
        parsed.append(record)
        take(table, record)

    monkeypatch.setattr(ReportTable, "take", take_noted)
    found = await read_reports(settings, ALL, Step.HOUR, SystemClock())
    everything = len(parsed)
    parsed.clear()
    of_one = await read_reports(settings, ReportFilter("a"), Step.HOUR, SystemClock())
    assert of_one.reports == [one for one in found.reports if one.hook == "a"]
    assert len(parsed) == everything // len(HOOKS)
