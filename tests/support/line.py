"""A pipeline whose network, broker and time are the test's."""

from dataclasses import dataclass, replace
from typing import Any

from prometheus_client import CollectorRegistry

from consumer.delivery.dispatcher import Dispatcher
from consumer.events.decode import Decoder
from consumer.hooks.table import Hook
from consumer.matching.index import Index
from consumer.metrics import Metrics
from consumer.pipeline import Pipeline
from consumer.retry_router import RetryRouter
from consumer.stream.handover import Handover, Letter
from consumer.stream.lanes import Lane
from consumer.stream.passport import Passport, read_passport
from consumer.stream.tracker import Partition, Pending
from support.bench import CIRCUIT, LIMITS, POLICY
from support.fakes import (
    FakeClock,
    FakeRecord,
    FakeTransport,
    make_table,
)

LANES = [Lane("hookstream.retry.10s", 10.0), Lane("hookstream.retry.1m", 60.0)]
DEAD = "hookstream.dead-letter"
GROUP = "hookstream"


@dataclass
class Posted:
    """One record that was handed over."""

    letter: Letter

    @property
    def passport(self) -> Passport:
        """Its headers, read again."""
        return read_passport(self.letter.headers)

    def record(self, **others: Any) -> FakeRecord:
        """As it is consumed again."""
        letter = self.letter
        facts = {"value": letter.value, "topic": letter.topic, "key": letter.key}
        return FakeRecord(**(facts | {"headers": letter.headers} | others))


class Line:
    """A pipeline whose network, broker and time are the test's."""

    def __init__(self, *hooks: Hook, **decoders: Decoder) -> None:
        self.clock = FakeClock()
        self.transport = FakeTransport(self.clock)
        self.metrics = Metrics("0", CollectorRegistry())
        self.handover = Handover(NoProducer(), self.metrics.stream)
        decoders = decoders or {
            "event": Decoder("event"),
            "push-click": Decoder("push_click"),
        }
        self.router = router = RetryRouter(
            lanes=LANES,
            dead_letter_topic=DEAD,
            group=GROUP,
            mapped_sources={topic for topic, decoder in decoders.items() if decoder.maps},
            handover=self.handover,
            clock=self.clock,
            metrics=self.metrics,
        )
        self.pipeline = Pipeline(
            index=Index(make_table(*hooks)),
            decoders=decoders,
            retry_topics={lane.topic: lane for lane in LANES},
            router=router,
            handover=self.handover,
            dispatcher=self._dispatcher(router),
            clock=self.clock,
            metrics=self.metrics,
        )
        self.partitions: dict[str, Partition] = {}

    def _dispatcher(self, router: RetryRouter) -> Dispatcher[Pending]:
        return Dispatcher(
            transport=self.transport,
            outcomes=router,
            limits=LIMITS,
            policy=replace(POLICY, lanes=(10.0, 60.0)),
            circuit_policy=CIRCUIT,
            clock=self.clock,
            timer=self.clock.call_later,
            random=lambda: 0.5,
            metrics=self.metrics,
        )

    def take(self, record: FakeRecord) -> Partition:
        """Take one record in; returns its topic's tracker."""
        partition = self.partitions.setdefault(record.topic, Partition(record.topic, 0, 0))
        self.pipeline.take(record, partition)
        return partition

    def use(self, *hooks: Hook) -> None:
        """Reload the hooks."""
        self.pipeline.use(Index(make_table(*hooks)))

    @property
    def post(self) -> list[Posted]:
        """What waits for the broker, in order."""
        return [Posted(letter) for letter in self.handover._queue]

    def acknowledge(self) -> Posted:
        """The broker has the oldest."""
        posted = Posted(self.handover._queue.popleft())
        posted.letter.acknowledged()
        return posted

    def count(self, name: str, **labels: str) -> float | None:
        """A metric."""
        return self.metrics.registry.get_sample_value(f"hookstream_{name}", labels)


class NoProducer:
    """These tests look into the queue instead."""

    async def send(self, topic: str, messages: object) -> Any:
        """Never called."""
        raise AssertionError(topic, messages)

    async def renew(self) -> None:
        """Never called."""


EVENT = {"id": "e1", "occurred_at": 1_799_999_999_000, "data": {"event_key": "purchase"}}
