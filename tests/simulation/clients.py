"""A replica's Kafka clients on the model broker: they work until their replica is killed."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import count

from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, KafkaError, NotLeaderForPartitionError

from consumer.records.header_sink import HeaderList
from consumer.records.headers import DELIVERY_ID, last_value
from consumer.stream.failed_partitions import FailedPartitions
from consumer.stream.outbox import Message, MessageT, Sent
from consumer.stream.partitioner import by_partition
from consumer.stream.positions import Committed, TopicState
from simulation.broker import Broker, never
from support.fake_consumer import FakeConsumer, FakeCoordinator
from support.fake_view import FakeView
from support.fakes import FakeRecord

_BATCH_RECORDS = 25
_MAX_LATE_SECONDS = 8.0
_REFUSAL_SECONDS = 0.5


class ModelCoordinator(FakeCoordinator):
    """A member's way to the coordinator of the model's group."""

    def __init__(self, member_id: str) -> None:
        super().__init__()
        self.member_id = member_id
        self.coordinator_id = None
        self.on_rejoin: Callable[[], None]

    def request_rejoin(self) -> None:
        """Begin a rebalance."""
        self.on_rejoin()


class ModelConsumer(FakeConsumer):
    """A group member on shared logs, with latency and with commits that may get lost."""

    def __init__(self, name: str, broker: Broker, *, is_member: Callable[[int], bool]) -> None:
        """`is_member`: whether the group takes commits of this member in a generation."""
        super().__init__()
        self.name = name
        self.logs, self.starts = broker.logs, broker.starts
        self.offsets, self.metadata = broker.offsets, broker.metadata
        self.unreachable = broker.faults.away
        self.generation = 0
        """The group's generation in which this member got its assignment."""
        self.troubled_until = 0.0
        """Until then (monotonic seconds) a commit may not be known."""
        self.alive = True
        self.on_start: Callable[[], None]
        self.on_stop: Callable[[], None]
        self.on_rejoin: Callable[[], None]
        self._coordinator: ModelCoordinator = ModelCoordinator(name)
        self._broker = broker
        self._is_member = is_member
        self._arrival: asyncio.Future[None] | None = None
        broker.arrivals.append(self._notice)

    async def start(self) -> None:
        """Join the group."""
        self._coordinator.on_rejoin = self.on_rejoin
        await asyncio.sleep(self._broker.latency())
        self.on_start()

    async def stop(self) -> None:
        """Leave the group."""
        self.on_stop()
        await super().stop()

    def partitions_for_topic(self, topic: str) -> set[int]:
        """See `FakeConsumer`."""
        return self._broker.partitions.get(topic, set())

    async def getmany(
        self, *places: TopicPartition, timeout_ms: int, max_records: int
    ) -> Mapping[TopicPartition, list[FakeRecord]]:
        """Wait for records; a fetch takes its time."""
        await asyncio.sleep(self._broker.latency())
        found = await super().getmany(*places, timeout_ms=timeout_ms, max_records=max_records)
        if found or not timeout_ms:
            return found
        loop = asyncio.get_running_loop()
        self._arrival = loop.create_future()
        timer = loop.call_later(timeout_ms / 1000, self._wake)
        try:
            await self._arrival
        finally:
            timer.cancel()
        return await super().getmany(*places, timeout_ms=0, max_records=max_records)

    def resume(self, *places: TopicPartition) -> None:
        """See `FakeConsumer`; what has waited may be polled now."""
        super().resume(*places)
        self._wake()

    async def commit(self, committed: Mapping[TopicPartition, tuple[int, str]]) -> None:
        """Send a commit: with its answer the broker has stored it; without, it may come later."""
        loop, random, faults = asyncio.get_running_loop(), self._broker.random, self._broker.faults
        refused, answered = CommitFailedError(), loop.create_future()
        generation, request = self.generation, dict(committed)

        def arrive() -> None:
            is_member = self._is_member(generation)
            if is_member:
                self._broker.store(request)
            if not answered.done() and not is_silent:
                answered.set_result(None) if is_member else answered.set_exception(refused)

        if not self.alive:
            await never()
        is_silent = random.random() < faults.silent_commits
        delay = self._broker.latency()
        if is_silent:
            delay = random.choice((delay, random.uniform(0.0, _MAX_LATE_SECONDS)))
            self.troubled_until = loop.time() + _MAX_LATE_SECONDS
        if not is_silent or random.random() < 0.8:
            loop.call_later(delay, arrive)
        await answered
        await asyncio.sleep(self._broker.latency())

    def _notice(self, tp: TopicPartition) -> None:
        if tp in self.positions and tp not in self._paused:
            self._wake()

    def _wake(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)


class ModelView(FakeView):
    """A `View` with latency."""

    def __init__(self, consumer: ModelConsumer, broker: Broker) -> None:
        super().__init__(consumer)
        self.away = broker.faults.away
        self._broker = broker

    async def topics(self, names: Collection[str]) -> Mapping[str, TopicState | None] | None:
        """See `View`."""
        await asyncio.sleep(self._broker.latency())
        return await super().topics(names)

    async def offsets(
        self, times: Mapping[TopicPartition, int], isolation: int
    ) -> Mapping[TopicPartition, int]:
        """See `View`."""
        await asyncio.sleep(self._broker.latency())
        return await super().offsets(times, isolation)

    async def committed(
        self, tps: Collection[TopicPartition]
    ) -> Mapping[TopicPartition, Committed] | None:
        """See `View`."""
        await asyncio.sleep(self._broker.latency())
        return await super().committed(tps)

    def by_leader(self, tps: Iterable[TopicPartition]) -> Mapping[int, list[TopicPartition]]:
        """See `View`; in the same order in each process, whatever the hashes of texts are."""
        return super().by_leader(sorted(tps))

    def notice(self, topics: Mapping[str, TopicState | None]) -> None:
        """See `View`."""


class ModelProducer:
    """The outbox's `Producer`: a partition's batches are written one after the other."""

    def __init__(self, broker: Broker, doubt: Callable[[str], None]) -> None:
        """`doubt` is called with each delivery whose record may be written twice."""
        self.alive = True
        self._broker = broker
        self._doubt = doubt
        self._locks: defaultdict[TopicPartition, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._round_robin = count()
        self._failed = FailedPartitions(lambda: asyncio.get_running_loop().time())

    async def send(self, topic: str, messages: Sequence[MessageT]) -> Sent[MessageT]:
        """See `outbox.Producer`."""
        await asyncio.sleep(self._broker.latency())
        if not self.alive:
            await never()
        partitions = sorted(self._broker.partitions[topic])
        away = self._broker.faults.away
        led = [number for number in partitions if TopicPartition(topic, number) not in away]
        divided = by_partition(
            messages,
            partitions,
            self._failed.usable(topic, led),
            round_robin=next(self._round_robin),
            may_move=True,
        )
        sent: Sent[MessageT] = []
        for number, its in divided.items():
            before: asyncio.Future[None] | None = None
            for batch in _batches(its):
                deliver = self._deliver(TopicPartition(topic, number), batch, before)
                answer = asyncio.ensure_future(deliver)
                if any(message.is_ordered for message in its):
                    before = answer
                sent.append((batch, answer))
        return sent

    async def reset(self) -> None:
        """See `outbox.Producer`; what is on its way may still be written."""
        await asyncio.sleep(0)
        self._locks.clear()

    async def _deliver(
        self,
        tp: TopicPartition,
        batch: Sequence[MessageT],
        before: "asyncio.Future[None] | None",
    ) -> None:
        if before is not None:
            await asyncio.wait([before])
            if before.cancelled() or before.exception() is not None:
                raise NotLeaderForPartitionError
        records = [make_record(message) for message in batch]
        try:
            async with self._locks[tp]:
                await self._write(tp, records)
            self._failed.succeeded(*tp)
        except (KafkaError, asyncio.CancelledError):
            self._failed.failed(*tp)
            for record in records:
                self._doubt((last_value(record.headers, DELIVERY_ID) or b"").decode())
            raise

    async def _write(self, tp: TopicPartition, records: Sequence[FakeRecord]) -> None:
        loop, broker, random = asyncio.get_running_loop(), self._broker, self._broker.random

        def write() -> None:
            for record in records:
                broker.append(tp, record)

        if tp in broker.faults.away:
            await asyncio.sleep(random.uniform(0.0, _REFUSAL_SECONDS))
            raise NotLeaderForPartitionError
        fate, delay = random.random(), broker.latency()
        if fate < broker.faults.silent_acks:
            if random.random() < 0.5:
                loop.call_later(delay, write)
            await never()
        if fate < broker.faults.silent_acks + broker.faults.late_acks:
            delay = random.uniform(0.1, _MAX_LATE_SECONDS)
        loop.call_later(delay, write)
        await asyncio.sleep(delay + broker.latency())


def make_record(message: Message) -> FakeRecord:
    """The record that a message becomes; the broker gives it its place."""
    sink = HeaderList()
    message.write_headers(sink)
    return FakeRecord(message.value, key=message.key, headers=sink.headers)


def _batches(messages: Sequence[MessageT]) -> list[Sequence[MessageT]]:
    starts = range(0, len(messages), _BATCH_RECORDS)
    return [messages[at : at + _BATCH_RECORDS] for at in starts]
