"""Searches of the delivery log on a real broker; the records are written by hand."""

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import NewPartitions, RecordsToDelete

from consumer.clock import SystemClock
from consumer.errors import ConfigError, HookstreamError
from consumer.journal.log_search import FoundDelivery, Horizon, Progress, SearchBounds, SearchEnd
from consumer.services.deliveries import Deliveries, DeliveryPage
from consumer.settings import KafkaSettings
from consumer.stream import backward_reader
from support.cluster import Cluster
from support.definition_topics import kafka_settings
from support.delivery_log import KEPT_FOR_EVER, LogRecord, java_partition, log_record, write_log
from support.secure_broker import PASSWORD, SecureBroker
from support.waiting import wait_until

PARTITIONS = 3
KEY = b"k" * 32
T0 = 1_790_000_000_000
"""Epoch milliseconds: 2026-09-21T14:13:20Z."""
HOUR = 3_600_000


@dataclass
class Log:
    """A delivery log of this test's own."""

    cluster: Cluster
    settings: KafkaSettings

    @property
    def topic(self) -> str:
        """Its topic."""
        return self.settings.own_topics.deliveries

    @property
    def deliveries(self) -> Deliveries:
        """What reads it."""
        return Deliveries(self.settings, KEY, SystemClock())

    async def create(self) -> None:
        """Make the topic."""
        await self.cluster.create([self.topic], partitions=PARTITIONS, configs=KEPT_FOR_EVER)

    async def write(self, *records: LogRecord, transaction: bool | None = None) -> None:
        """Write records."""
        await write_log(
            self.cluster, self.topic, records, partitions=PARTITIONS, transaction=transaction
        )

    async def page(
        self, cursor: str | None = None, limit: int = 1_000, **texts: str
    ) -> DeliveryPage:
        """One page of a search."""
        return await self.deliveries.page(self.deliveries.parse(texts), limit=limit, cursor=cursor)

    async def events(self, **texts: str) -> list[str]:
        """The event ids of what a search finds, in its order."""
        page = await self.deliveries.page(self.deliveries.parse(texts), limit=1_000)
        return [str(one.record.event) for one in page.deliveries]

    async def delete_before(self, offsets: Mapping[int, int]) -> None:
        """Delete the records before an offset of each partition, as retention does."""
        async with self.cluster.admin() as admin:
            await admin.delete_records(
                {
                    TopicPartition(self.topic, number): RecordsToDelete(offset)
                    for number, offset in offsets.items()
                }
            )


@pytest.fixture
async def log(cluster: Cluster, topic_prefix: str) -> Log:
    """A log whose topic is made."""
    log = Log(cluster, kafka_settings(cluster.bootstrap, topic_prefix))
    await log.create()
    return log


def _spread(count: int, hooks: tuple[str, ...] = ("a", "b", "c", "d")) -> list[LogRecord]:
    """Records of several hooks, a second apart."""
    return [log_record(hooks[n % len(hooks)], n, T0 + 1_000 * n) for n in range(count)]


async def test_without_a_topic_there_is_no_log(cluster: Cluster, topic_prefix: str) -> None:
    """A search before any daemon has made the topic finds nothing and says that there is no log."""
    log = Log(cluster, kafka_settings(cluster.bootstrap, topic_prefix))
    page = await log.page()
    assert (page.deliveries, page.horizon.end) == ([], SearchEnd.NO_LOG)
    with pytest.raises(HookstreamError, match="there is no topic"):
        async with aclosing(log.deliveries.follow(log.deliveries.parse({}))) as found:
            await anext(found)


async def test_all_partitions_are_merged_by_time(log: Log) -> None:
    """A search without a hook finds the records of all partitions once, newest first, and says that
    it came to the log's beginning.
    """
    records = _spread(200)
    assert len({java_partition(one.hook, PARTITIONS) for one in records}) > 1
    await log.write(*records)
    page = await log.page()
    assert [one.record.event for one in page.deliveries] == [f"e{n}" for n in range(199, -1, -1)]
    assert page.horizon == Horizon(SearchEnd.BEGINNING, None, 200, 0)
    first = page.deliveries[0].record
    assert (first.status, first.ms.all, first.replica) == (204, 3.25, "r-1")


async def test_a_hook_costs_the_partitions_that_can_have_it(log: Log) -> None:
    """A search of one hook reads only the partitions that can have its records, with today's number
    of partitions or a smaller one, and finds no other hook's.
    """
    hooks = tuple("abcdefgh")
    await log.write(*_spread(200, hooks))
    for hook in hooks:
        page = await log.page(hook=hook)
        found = [one.record.event for one in page.deliveries]
        assert found == [f"e{n}" for n in range(199, -1, -1) if hooks[n % 8] == hook]
        read = {java_partition(hook, count) for count in range(1, PARTITIONS + 1)}
        beside = [one for one in hooks if java_partition(one, PARTITIONS) in read]
        assert page.horizon.records == 25 * len(beside)


async def test_records_from_before_partitions_were_added_are_found(log: Log) -> None:
    """A search of one hook finds its records wherever they are after partitions were added."""
    hooks = tuple("abcdefgh")
    await log.write(*_spread(80, hooks))
    more = PARTITIONS + 2
    moved = [one for one in hooks if java_partition(one, PARTITIONS) != java_partition(one, more)]
    assert moved
    async with log.cluster.admin() as admin:
        await admin.create_partitions({log.topic: NewPartitions(more)})
    for hook in moved:
        page = await log.page(hook=hook)
        found = [one.record.event for one in page.deliveries]
        assert found == [f"e{n}" for n in range(79, -1, -1) if hooks[n % 8] == hook]
        assert page.horizon.end is SearchEnd.BEGINNING


async def test_every_filter_finds_its_records(log: Log) -> None:
    """Each filter finds exactly its records, and together they find what fits all."""
    user = "8d8a6c8f3ea6c1b2"  # another user's hash
    await log.write(
        log_record("a", 1, T0),
        log_record("a", 2, T0 + 1_000, status=503, outcome="retry"),
        log_record("a", 3, T0 + 2_000, status=None, error="timeout", outcome="overflow"),
        log_record("b", 4, T0 + 3_000, status=404, outcome="dead_letter", reason="permanent"),
        log_record("b", 5, T0 + 4_000, attempt=0, status=None, ms=None, outcome="dead_letter"),
        log_record("b", 6, T0 + 5_000, user=user),
    )
    assert await log.events(outcome="dead_letter") == ["e5", "e4"]
    assert await log.events(status="503") == ["e2"]
    assert await log.events(status="4xx") == ["e4"]
    assert await log.events(status="timeout") == ["e3"]
    assert await log.events(id="e4:b") == ["e4"]
    assert await log.events(event="e1") == ["e1"]
    assert await log.events(user="u1") == []
    assert await log.events(hook="b", status="2xx") == ["e6"]
    assert await log.events(since="2026-09-21T14:13:21Z", until="2026-09-21T14:13:22Z") == ["e2"]
    assert await log.events(since="2026-09-21T14:14:00Z") == []
    assert await log.events(until="2026-09-21T14:13:20Z") == []


async def test_a_late_record_is_found_by_its_time(log: Log) -> None:
    """A record that came into the log after a newer one, as from a replica that was held up, is
    found by both of its times.
    """
    await log.write(log_record("a", 1, T0), log_record("a", 2, T0 + 60_000))
    await log.write(log_record("a", 3, T0 + 1_000))
    assert await log.events(until="2026-09-21T14:13:30Z") == ["e3", "e1"]
    assert await log.events(since="2026-09-21T14:13:21Z", hook="a") == ["e3", "e2"]


async def test_pages_go_on_where_the_one_before_ended(log: Log) -> None:
    """Pages by cursor make up the whole, without a record twice or left out, although newer records
    are written between; the last page has no cursor.
    """
    await log.write(*_spread(100))
    found: list[str] = []
    cursor: str | None = None
    for _ in range(100):
        page = await log.page(cursor, limit=7)
        found += [str(one.record.event) for one in page.deliveries]
        cursor = page.horizon.cursor
        if cursor is None:
            break
        assert page.horizon.end is SearchEnd.LIMIT
        assert page.horizon.searched_to is not None
        await log.write(log_record("a", 1_000, T0 + HOUR))
    assert found == [f"e{n}" for n in range(99, -1, -1)]
    with pytest.raises(ConfigError, match="other filters"):
        await log.page((await log.page(limit=1)).horizon.cursor, limit=1, hook="a")


async def test_a_search_that_finds_nothing_tells_its_horizon(log: Log) -> None:
    """A search that finds nothing tells what it read: everything, back to a time, as far as
    retention has left, or as far as its bound allowed, and then where it goes on.
    """
    await log.write(*(log_record("a", n, T0 + 1_000 * n) for n in range(5_000)))
    page = await log.page(hook="a", event="none")
    assert page.deliveries == []
    assert page.horizon == Horizon(SearchEnd.BEGINNING, None, 5_000, 0)
    since = "2026-09-21T14:50:00Z"
    page = await log.page(hook="a", event="none", since=since)
    assert page.horizon.end is SearchEnd.SINCE
    deliveries = log.deliveries
    wanted = deliveries.parse({"hook": "a", "event": "none"})
    page = await deliveries.page(wanted, limit=9, bounds=SearchBounds(records=1_000))
    assert (page.horizon.end, page.horizon.records) == (SearchEnd.BOUND, 1_000)
    assert page.horizon.searched_to == (T0 + 4_000_000) / 1000
    rest = await deliveries.page(wanted, limit=9, cursor=page.horizon.cursor)
    assert (rest.horizon.end, rest.horizon.records) == (SearchEnd.BEGINNING, 4_000)
    await log.delete_before({java_partition("a", PARTITIONS): 4_000})
    page = await log.page(hook="a", event="none")
    expected = Horizon(SearchEnd.LOG_START, (T0 + 4_000_000) / 1000, 1_000, 0)
    assert page.horizon == expected


async def test_retention_may_delete_while_one_reads(log: Log) -> None:
    """Records that retention deletes during a search are left out, all others are found, and the
    horizon tells where the log begins now.
    """
    await log.write(*(log_record("a", n, T0 + 1_000 * n) for n in range(8_000)))
    number, found, horizon = java_partition("a", PARTITIONS), list[str](), None
    async with aclosing(log.deliveries.search(log.deliveries.parse({"hook": "a"}))) as steps:
        async for step in steps:
            if isinstance(step, FoundDelivery):
                if not found:
                    await log.delete_before({number: 6_000})
                found.append(str(step.record.event))
            elif isinstance(step, Horizon):
                horizon = step
    assert found == [f"e{n}" for n in range(7_999, 5_999, -1)]
    assert horizon is not None
    assert (horizon.end, horizon.cursor) == (SearchEnd.LOG_START, None)
    assert horizon.searched_to == (T0 + 6_000_000) / 1000


async def test_aborted_records_and_markers_are_passed(log: Log) -> None:
    """Records of an aborted transaction are not found, and the markers of transactions, at the end
    of the log too, hold up no search.
    """
    await log.write(log_record("a", 1, T0), transaction=True)
    await log.write(log_record("a", 2, T0 + 1_000), transaction=False)
    await log.write(log_record("a", 3, T0 + 2_000))
    await log.write(*(log_record("a", n, T0 + 3_000 + n) for n in range(4, 50)), transaction=False)
    assert await log.events() == ["e3", "e1"]
    assert await log.events(hook="a") == ["e3", "e1"]
    assert await log.events(event="e3") == ["e3"]
    assert await log.events(event="e2") == []
    assert (await log.page(event="none")).horizon.records == 2


async def test_other_records_are_counted(log: Log) -> None:
    """Records that are none of the log are counted and passed over."""
    await log.write(log_record("a", 1, T0))
    strange = [b"", b"\xff\x00", b"[]", b'{"format":2}', b'{"format":1,"outcome":"lost"}']
    await log.write(*(LogRecord("a", T0 + 1_000, value) for value in strange))
    page = await log.page(hook="a")
    assert [one.record.event for one in page.deliveries] == ["e1"]
    assert (page.horizon.records, page.horizon.passed_over) == (6, 5)


async def test_a_missing_right_is_told(secure_broker: SecureBroker, topic_prefix: str) -> None:
    """A user who may not read the log, or not even know of it, is told so in one sentence: that is
    not an empty log.
    """
    open_log = Log(
        Cluster(secure_broker.bootstrap), kafka_settings(secure_broker.bootstrap, topic_prefix)
    )
    await open_log.create()
    user = f"{topic_prefix}-reader"
    await secure_broker.add_user(user, "SCRAM-SHA-256")
    kafka = secure_broker.settings(
        "SASL", sasl_mechanism="SCRAM-SHA-256", sasl_username=user, sasl_password=PASSWORD
    )
    log = Log(open_log.cluster, KafkaSettings(topic_prefix=topic_prefix, **kafka))
    told = f"Kafka refuses the topic {log.topic}: ask for access to it"
    with pytest.raises(HookstreamError, match=told):
        await log.page()
    await secure_broker.allow(user, {log.topic: ["DESCRIBE"]})
    await open_log.write(log_record("a", 1, T0))
    with pytest.raises(HookstreamError, match=told):
        await log.page()
    await secure_broker.allow(user, {log.topic: ["READ"]})
    assert await log.events() == ["e1"]


async def test_memory_is_bounded(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """A search that finds more than may be kept at once finds each record once, in order."""
    monkeypatch.setattr(backward_reader, "_KEPT_ITEMS", 10)
    await log.write(*_spread(300))
    page = await log.page()
    assert [one.record.event for one in page.deliveries] == [f"e{n}" for n in range(299, -1, -1)]
    assert page.horizon.records == 300


async def test_a_search_tells_how_far_it_has_come(log: Log) -> None:
    """A search gives its progress while it runs: the records so far, and back to when."""
    await log.write(*(log_record("a", n, T0 + 1_000 * n) for n in range(4_000)))
    seen = list[Progress]()
    async with aclosing(log.deliveries.search(log.deliveries.parse({"event": "none"}))) as steps:
        seen = [step async for step in steps if isinstance(step, Progress)]
    records = [one.records for one in seen]
    assert records == sorted(records)
    assert (len(records) > 1, records[-1]) == (True, 4_000)
    assert seen[-2].searched_to is not None


async def test_the_log_is_followed(log: Log) -> None:
    """Following the log gives each record that is wanted as it comes, and with a time first those
    since then.
    """
    await log.write(*_spread(20))
    got: list[str] = []

    async def follow(texts: Mapping[str, str]) -> None:
        async with aclosing(log.deliveries.follow(log.deliveries.parse(texts))) as found:
            async for one in found:
                got.append(str(one.record.event))  # noqa: PERF401  # it is looked at meanwhile

    following = asyncio.create_task(follow({"since": "2026-09-01T00:00:00Z", "hook": "a"}))
    try:
        await wait_until(partial(_has, got, 5), "the records so far")
        await log.write(log_record("b", 90, T0 + HOUR), log_record("a", 91, T0 + HOUR))
        await wait_until(partial(_has, got, 6), "a new one")
    finally:
        following.cancel()
    assert got == ["e0", "e4", "e8", "e12", "e16", "e91"]


def _has(found: list[str], count: int) -> bool:
    return len(found) >= count
