"""The promises of aiokafka's consumer that `stream` builds on, held by it and by its double."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Collection, Mapping
from typing import Any

import pytest
from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import IllegalStateError, OffsetOutOfRangeError

from consumer.settings import KafkaSettings
from consumer.stream.client import make_consumer
from consumer.stream.cluster_view import READ_COMMITTED, ClusterView, View
from consumer.stream.positions import EARLIEST, LATEST, UNKNOWN_OFFSET, CommitNote, Committed
from support.cluster import Cluster
from support.fake_consumer import FakeConsumer
from support.fake_view import FakeView
from support.fakes import FakeRecord
from support.waiting import wait_until

NOW_MS = int(time.time() * 1000)
NOTE = CommitNote("cluster", "topic", since=1, partitions=2)


class Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """The calls of a rebalance listener."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Note the call."""
        del revoked
        self.calls.append("revoked")

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Note the call."""
        del assigned
        self.calls.append("assigned")


class ConsumerHarness(ABC):
    """The only member of a group, on a topic of two empty partitions, at their first offsets."""

    consumer: Any
    view: View

    def __init__(self, topic: str) -> None:
        self.topic, self.other = topic, f"{topic}-other"
        self.a, self.b = TopicPartition(topic, 0), TopicPartition(topic, 1)
        self.listener = Listener()

    async def write(self, tp: TopicPartition, number: int = 1) -> None:
        """Write records; the time of each is `NOW_MS` and its offset."""
        for _ in range(number):
            await self._write(tp)

    async def poll(
        self, *tps: TopicPartition, max_records: int = 100
    ) -> Mapping[TopicPartition, list[int]]:
        """The offsets of the first poll that has records."""

        async def once() -> Mapping[TopicPartition, list[Any]]:
            found: Mapping[TopicPartition, list[Any]] = await self.consumer.getmany(
                *tps, timeout_ms=100, max_records=max_records
            )
            return found

        batches = await wait_until(once, "a record")
        return {tp: [record.offset for record in batch] for tp, batch in batches.items() if batch}

    async def drain(
        self, count: int, *, max_records: int = 100
    ) -> list[tuple[TopicPartition, int]]:
        """The next `count` records, in the order in which polls have them."""
        found: list[tuple[TopicPartition, int]] = []
        while len(found) < count:
            batches = await self.poll(max_records=max_records)
            assert sum(map(len, batches.values())) <= max_records
            found += [(tp, offset) for tp, offsets in batches.items() for offset in offsets]
        return found

    @abstractmethod
    async def _write(self, tp: TopicPartition) -> None: ...

    @abstractmethod
    async def rebalance(self, topics: Collection[str]) -> None:
        """Complete the rebalance that a subscription of these topics causes."""


class Double(ConsumerHarness):
    """The double and its `View`."""

    def __init__(self, topic: str) -> None:
        super().__init__(topic)
        self.consumer = FakeConsumer()
        self.view = FakeView(self.consumer)

    async def open(self) -> None:
        """Join the group."""
        self.consumer.logs = {self.a: [], self.b: [], TopicPartition(self.other, 0): []}
        self.consumer.subscribe([self.topic], listener=self.listener)
        await self.rebalance([self.topic])

    async def _write(self, tp: TopicPartition) -> None:
        offset = self.consumer.end_of(tp)
        self.consumer.append(tp, FakeRecord(timestamp=NOW_MS + offset))

    async def rebalance(self, topics: Collection[str]) -> None:
        """See `ConsumerHarness.rebalance`."""
        await self.consumer.rebalance(*(tp for tp in self.consumer.logs if tp.topic in topics))


class Real(ConsumerHarness):
    """The daemon's own consumer on a real broker, and its `View`."""

    def __init__(self, topic: str, cluster: Cluster) -> None:
        super().__init__(topic)
        self._cluster = cluster
        self._written: dict[TopicPartition, int] = {}

    async def open(self) -> None:
        """Join the group."""
        await self._cluster.create([self.topic], partitions=2)
        await self._cluster.create([self.other], partitions=1)
        settings = KafkaSettings(bootstrap_servers=(self._cluster.bootstrap,), group_id=self.topic)
        self.consumer = make_consumer(settings)
        self.consumer.subscribe([self.topic], listener=self.listener)
        await self.consumer.start()
        self.view = ClusterView(self.consumer)
        await self.rebalance([self.topic])
        self.consumer.seek(self.a, 0)
        self.consumer.seek(self.b, 0)

    async def _write(self, tp: TopicPartition) -> None:
        number = self._written[tp] = self._written.get(tp, -1) + 1
        async with self._cluster.producer() as producer:
            await producer.send_and_wait(
                tp.topic, b"{}", partition=tp.partition, timestamp_ms=NOW_MS + number
            )

    async def rebalance(self, topics: Collection[str]) -> None:
        """See `ConsumerHarness.rebalance`."""

        def assigned() -> bool:
            return {tp.topic for tp in self.consumer.assignment()} == set(topics)

        await wait_until(assigned, "the assignment")


@pytest.fixture(params=["double", pytest.param("aiokafka", marks=pytest.mark.broker)])
async def harness(
    request: pytest.FixtureRequest, topic_prefix: str
) -> AsyncIterator[ConsumerHarness]:
    """Each consumer in turn."""
    if request.param == "double":
        double = Double(topic_prefix)
        await double.open()
        yield double
        return
    cluster = Cluster(request.getfixturevalue("bootstrap_servers"))
    real = Real(topic_prefix, cluster)
    await real.open()
    yield real
    await real.consumer.stop()
    await cluster.delete([real.topic, real.other])


async def test_records_come_from_the_position_on(harness: ConsumerHarness) -> None:
    """A poll has the records from the position on and moves it behind the last one, and `seek`
    sets it.
    """
    await harness.write(harness.a, 3)
    assert await harness.drain(3) == [(harness.a, offset) for offset in range(3)]
    assert await harness.consumer.position(harness.a) == 3
    harness.consumer.seek(harness.a, 1)
    assert await harness.consumer.position(harness.a) == 1
    assert await harness.drain(2) == [(harness.a, 1), (harness.a, 2)]


async def test_max_records_bounds_a_poll(harness: ConsumerHarness) -> None:
    """A poll has at most `max_records` records of all partitions together, and the next ones have
    the rest in order.
    """
    await harness.write(harness.a, 3)
    await harness.write(harness.b, 3)
    found = await harness.drain(6, max_records=2)
    for tp in (harness.a, harness.b):
        assert [offset for of, offset in found if of == tp] == [0, 1, 2]


async def test_a_poll_may_ask_for_some_partitions(harness: ConsumerHarness) -> None:
    """A poll of one partition has no records of another, which later polls have."""
    await harness.write(harness.a)
    await harness.write(harness.b)
    assert await harness.poll(harness.b) == {harness.b: [0]}
    assert await harness.consumer.position(harness.a) == 0
    assert await harness.poll() == {harness.a: [0]}


async def test_a_paused_partition_is_not_polled(harness: ConsumerHarness) -> None:
    """A paused partition keeps its position and gives no records until it is resumed."""
    await harness.write(harness.a, 2)
    await harness.drain(2)
    harness.consumer.seek(harness.a, 1)
    harness.consumer.pause(harness.a)
    assert harness.consumer.paused() == {harness.a}
    await harness.write(harness.b)
    assert await harness.poll() == {harness.b: [0]}
    assert not await harness.consumer.getmany(timeout_ms=300, max_records=100)
    assert await harness.consumer.position(harness.a) == 1
    harness.consumer.resume(harness.a)
    assert harness.consumer.paused() == set()
    assert await harness.poll() == {harness.a: [1]}


async def test_a_partition_that_is_not_assigned_is_refused(harness: ConsumerHarness) -> None:
    """Pausing, resuming and seeking a partition that is not assigned raises."""
    foreign = TopicPartition(harness.topic, 7)
    for call in (harness.consumer.pause, harness.consumer.resume):
        with pytest.raises(IllegalStateError):
            call(foreign)
    with pytest.raises(IllegalStateError):
        harness.consumer.seek(foreign, 0)
    with pytest.raises(IllegalStateError):
        await harness.consumer.position(foreign)


async def test_a_partition_that_is_not_assigned_is_committed(harness: ConsumerHarness) -> None:
    """A commit may be for a partition that is not assigned any more: its owner gives it back after
    the assignment.
    """
    other = TopicPartition(harness.other, 0)
    await harness.consumer.commit({harness.a: (1, ""), other: (1, "")})
    assert await harness.view.committed([harness.a, other]) == dict.fromkeys(
        (harness.a, other), Committed(1, None)
    )


async def test_a_position_outside_the_log_raises(harness: ConsumerHarness) -> None:
    """A poll of a position behind the log's end raises `OffsetOutOfRangeError` with the partition,
    and sets no other position.
    """
    await harness.write(harness.a)
    harness.consumer.seek(harness.a, 100)
    with pytest.raises(OffsetOutOfRangeError) as raised:
        await harness.poll(harness.a)
    assert raised.value.args[0] == {harness.a: 100}
    assert await harness.consumer.position(harness.a) == 100


async def test_another_subscription_ends_the_assignment(harness: ConsumerHarness) -> None:
    """Another subscription ends the assignment at once, and the next one has no pauses."""
    harness.consumer.pause(harness.a)
    topics = [harness.topic, harness.other]
    harness.consumer.subscribe(topics, listener=harness.listener)
    assert harness.consumer.assignment() == set()
    await harness.rebalance(topics)
    assert harness.consumer.assignment() == {
        harness.a, harness.b, TopicPartition(harness.other, 0)
    }  # fmt: skip
    assert harness.consumer.paused() == set()
    await wait_until(lambda: harness.listener.calls[-2:] == ["revoked", "assigned"], "the calls")


async def test_leaving_calls_no_listener(harness: ConsumerHarness) -> None:
    """A consumer that stops calls no listener, so nothing is committed by itself."""
    await wait_until(lambda: harness.listener.calls, "the first assignment")
    calls = list(harness.listener.calls)
    await harness.consumer.stop()
    await asyncio.sleep(0)
    assert harness.listener.calls == calls


async def test_a_commit_is_read_with_its_note(harness: ConsumerHarness) -> None:
    """A commit is read back with its offset and note, and partitions without one are left out."""
    await harness.consumer.commit({harness.a: (2, NOTE.text())})
    expected = {harness.a: Committed(2, NOTE)}
    assert await harness.view.committed([harness.a, harness.b]) == expected


async def test_topics_have_an_identity(harness: ConsumerHarness) -> None:
    """A topic has the same identity at each query, which no other topic has, and a topic that does
    not exist is None.
    """
    names = [harness.topic, harness.other, f"{harness.topic}-absent"]
    first = await harness.view.topics(names)
    assert first is not None
    assert first == await harness.view.topics(names)
    topic, other, absent = (first[name] for name in names)
    assert absent is None
    assert topic is not None
    assert other is not None
    assert (topic.partitions, other.partitions) == (2, 1)
    assert topic.cluster_id == other.cluster_id
    assert topic.topic_id != other.topic_id


async def test_offsets_are_found_by_time(harness: ConsumerHarness) -> None:
    """The first offset, the end, and the first record at or after a time are found, and a time
    behind the last record has none.
    """
    await harness.write(harness.a, 3)

    async def found(moment: int) -> int | None:
        offsets = await harness.view.offsets({harness.a: moment}, READ_COMMITTED)
        return offsets.get(harness.a)

    moments = (EARLIEST, LATEST, NOW_MS + 1, NOW_MS + 3)
    assert [await found(moment) for moment in moments] == [0, 3, 1, UNKNOWN_OFFSET]


async def test_each_partition_has_a_leader(harness: ConsumerHarness) -> None:
    """Each partition with a leader is listed below one node."""
    nodes = harness.view.by_leader([harness.a, harness.b])
    assert sorted(tp for tps in nodes.values() for tp in tps) == [harness.a, harness.b]
