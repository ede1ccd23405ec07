"""A member of the consumer group: an intake on a fake consumer, and a handler that tests
control.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from aiokafka import TopicPartition

from consumer.metrics.stream import StreamMetrics
from consumer.records.headers import HOOK, last_value
from consumer.records.record import Record, SchemaWantedError
from consumer.records.tracker import InFlightRecord, OffsetTracker
from consumer.settings import OwnTopics
from consumer.stream.intake import Intake
from consumer.stream.known_retry_topics import KnownRetryTopics
from consumer.stream.overflow_topic import OverflowTopic
from consumer.stream.positions import EARLIEST
from support.fake_consumer import FakeConsumer
from support.fake_view import FakeView
from support.fakes import FakeClock
from support.waiting import wait_until

A, B = TopicPartition("event", 0), TopicPartition("event", 1)
RETRY = TopicPartition("hookstream.retry.10s", 0)
OVERFLOW = TopicPartition("hookstream.overflow", 0)


class FakeHandler:
    """A Handler that settles when the test says so."""

    def __init__(self) -> None:
        self.at_capacity = False
        self.taken: list[tuple[str, int, int]] = []
        """Topic, partition and offset of each record."""
        self.pending: list[InFlightRecord] = []
        self.shares: list[Mapping[str, tuple[int, int]]] = []
        self.bugs: set[int] = set()
        """Offsets at which `handle` raises."""
        self.wanted: set[int] = set()
        """Offsets of records whose schema is not here yet."""
        self.fills_at = 0
        """How many records make it full; 0: no number does."""
        self.settles_deferred = True
        self.deferred: list[InFlightRecord] = []
        self.rooms: dict[str, int] = {}
        """By hook, how many of its deliveries may still be taken from the overflow topic."""
        self.asked: list[tuple[str, float]] = []
        """Every question for room: the hook and the oldest first failure."""

    async def wait_for_capacity(self) -> None:
        """See `Handler.wait_for_capacity`."""
        await asyncio.sleep(0)

    def is_foreign(self, record: Record) -> bool:
        """See `Handler.is_foreign`."""
        return ("hookstream-group", b"foreign") in record.headers

    def handle(self, record: Record, partition: OffsetTracker) -> None:
        """See `Handler.handle`."""
        if record.offset in self.bugs:
            raise RuntimeError("a bug")
        if record.offset in self.wanted:
            raise SchemaWantedError(7, 0.1, is_away=False)
        self.taken.append((record.topic, record.partition, record.offset))
        self.pending.append(partition.receive(record.offset, record, 1, 0.0))
        if (hook := hook_of(record)) in self.rooms:
            self.rooms[hook] -= 1
        if len(self.taken) == self.fills_at:
            self.at_capacity = True

    def on_assigned(self, counts: Mapping[str, tuple[int, int]]) -> None:
        """See `Handler.on_assigned`."""
        self.shares.append(counts)

    def room(self, hook: str, first_failed_at: float) -> tuple[int, float]:
        """See `Handler.room`."""
        self.asked.append((hook, first_failed_at))
        return self.rooms.get(hook, 0), 0.05

    def release(self, which: Callable[[InFlightRecord], bool]) -> None:
        """See `Handler.release`; all have begun."""

    def defer(self, which: Callable[[InFlightRecord], bool]) -> None:
        """See `Handler.defer`."""
        leaving = [pending for pending in self.pending if which(pending)]
        self.deferred += leaving
        self.pending = [pending for pending in self.pending if pending not in leaving]
        if self.settles_deferred:
            for pending in leaving:
                pending.ack_one()

    def settle(self, count: int = 1) -> None:
        """End the oldest deliveries."""
        for _ in range(count):
            self.pending.pop(0).ack_one()


def hook_of(record: Record) -> str:
    """The hook that a record's headers name; "" without any."""
    return (last_value(record.headers, HOOK) or b"").decode()


class Member:
    """An intake on a fake consumer."""

    def __init__(self, commit_timeout: float = 60.0, start: int = EARLIEST) -> None:
        self.clock = FakeClock()
        self.consumer = FakeConsumer()
        self.view = FakeView(self.consumer)
        self.handler = FakeHandler()
        self.metrics = StreamMetrics()
        self.retry_topics = KnownRetryTopics(
            self.consumer, OwnTopics("hookstream"), [10.0], self.metrics
        )
        self.overflow = OverflowTopic(OVERFLOW.topic, self.clock, self.metrics)
        self.intake = Intake(
            self.consumer,
            self.view,
            self.handler,
            sources={A.topic: start},
            retry_topics=self.retry_topics,
            overflow=self.overflow,
            clock=self.clock,
            metrics=self.metrics,
            commit_timeout=commit_timeout,
        )

    @asynccontextmanager
    async def running(self, *places: TopicPartition) -> AsyncIterator[None]:
        """Join the group with these partitions, handle records meanwhile, and stop."""
        await self.intake.start()
        await self.consumer.rebalance(*places)
        placing = asyncio.create_task(self.intake.placement.run())
        giving_back = asyncio.create_task(self.intake.give_back.run())
        task = asyncio.create_task(self.intake.run())
        try:
            yield
        finally:
            self.intake.stop_taking()
            placing.cancel()
            giving_back.cancel()
            await task

    def is_paused(self, place: TopicPartition) -> bool:
        """Whether a partition is paused at a record that is not due."""
        return self.intake._poller.is_paused(place)

    async def takes(self, count: int) -> None:
        """Wait until this many records were handled."""
        await wait_until(lambda: len(self.handler.taken) >= count, f"{count} records")
        assert len(self.handler.taken) == count

    async def idles(self) -> None:
        """Give intake every chance to go on, while no poll can end."""
        for _ in range(20):
            await asyncio.sleep(0)

    async def rounds(self, count: int = 3) -> None:
        """Let intake poll a few times."""
        goal = self.consumer.polls + count
        await wait_until(lambda: self.consumer.polls >= goal, "a few polls")
