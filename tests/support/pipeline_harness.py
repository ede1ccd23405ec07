"""A pipeline whose network, broker and time are the test's."""

from dataclasses import dataclass, replace
from random import Random
from typing import Any

from prometheus_client import CollectorRegistry

from consumer.delivery.scheduling.observers import METRICS_OBSERVER
from consumer.delivery.scheduling.scheduler import Scheduler
from consumer.events.decode import Decoder
from consumer.hooks.table import Hook
from consumer.matching.store import make_index
from consumer.metrics import Metrics
from consumer.pipeline.event_handler import EventHandler
from consumer.pipeline.record_spans import RecordSpans
from consumer.pipeline.retry_router import RetryRouter
from consumer.records.delivery_metadata import DeliveryMetadata, read_delivery_metadata
from consumer.records.header_sink import HeaderList
from consumer.records.overflow_tracker import OverflowTracker
from consumer.records.record import Headers
from consumer.records.tracker import OffsetTracker
from consumer.stream.outbox import Message, Outbox, PublishedRecord
from consumer.stream.overflow_lines import OverflowLines
from consumer.stream.overflow_topic import OverflowTopic
from consumer.stream.retry_topic import RetryTopic
from consumer.tracing.context import Sampler
from consumer.tracing.spans import Tracer
from support.fakes import (
    FakeClock,
    FakeRecord,
    FakeTransport,
    make_table,
)
from support.kept_spans import KeptSpans
from support.scheduler_harness import CIRCUIT, LIMITS, POLICY

RETRY_TOPICS = [RetryTopic("hookstream.retry.10s", 10.0), RetryTopic("hookstream.retry.1m", 60.0)]
OVERFLOW = "hookstream.overflow"
DEAD = "hookstream.dead-letter"
GROUP = "hookstream"


@dataclass
class Published:
    """One record that was published."""

    outgoing: PublishedRecord

    @property
    def headers(self) -> Headers:
        """All its headers."""
        return headers_of(self.outgoing)

    @property
    def metadata(self) -> DeliveryMetadata:
        """The delivery metadata in its headers."""
        return read_delivery_metadata(self.headers)

    def record(self, **others: Any) -> FakeRecord:
        """The record as a consumer gets it."""
        outgoing = self.outgoing
        facts = {"value": outgoing.value, "topic": outgoing.topic, "key": outgoing.key}
        return FakeRecord(**(facts | {"headers": self.headers} | others))


def headers_of(message: Message) -> Headers:
    """The headers that `message` is written with."""
    sink = HeaderList()
    message.write_headers(sink)
    return sink.headers


class PipelineHarness:
    """A pipeline whose network, broker and time are the test's."""

    def __init__(self, *hooks: Hook, sample: float | None = None, **decoders: Decoder) -> None:
        """`sample`: `tracing.sample`; None: without tracing."""
        self.clock = FakeClock()
        self.transport = FakeTransport(self.clock)
        self.metrics = Metrics("0", CollectorRegistry())
        self.outbox = Outbox(NoProducer(), self.metrics.stream)
        decoders = decoders or {
            "event": Decoder("event"),
            "push-click": Decoder("push_click"),
        }
        self.spans = KeptSpans()
        """The spans that have ended."""
        self.tracer: Tracer | None = None
        self._record_spans = self._traced(sample) if sample is not None else None
        self.overflow = OverflowTopic(OVERFLOW, self.clock, self.metrics.stream)
        self.gave_up: list[DeliveryMetadata] = []
        """Deliveries that were dead-lettered outside the scheduler."""
        self.router = router = RetryRouter(
            retry_topics=RETRY_TOPICS,
            overflow=self.overflow,
            dead_letter_topic=DEAD,
            group=GROUP,
            mapped_sources={topic for topic, decoder in decoders.items() if decoder.maps},
            outbox=self.outbox,
            clock=self.clock,
            metrics=self.metrics,
            gave_up=self.gave_up.append,
        )
        self.handler = EventHandler(
            index=make_index(make_table(*hooks)),
            decoders=decoders,
            retry_topics={retry_topic.topic: retry_topic for retry_topic in RETRY_TOPICS},
            overflow=self.overflow,
            group=GROUP,
            router=router,
            outbox=self.outbox,
            scheduler=self._scheduler(router),
            clock=self.clock,
            metrics=self.metrics,
            spans=self._record_spans,
        )
        self.partitions: dict[str, OffsetTracker] = {}

    def _scheduler(self, router: RetryRouter) -> Scheduler:
        return Scheduler(
            transport=self.transport,
            outcomes=router,
            limits=LIMITS,
            policy=replace(POLICY, delays=(10.0, 60.0)),
            circuit_policy=CIRCUIT,
            clock=self.clock,
            timer=self.clock.call_later,
            random=lambda: 0.5,
            metrics=self.metrics,
            observers=[METRICS_OBSERVER, *([self._record_spans] if self._record_spans else [])],
        )

    def _traced(self, sample: float) -> RecordSpans:
        sampler = Sampler(sample, Random(7).getrandbits)  # noqa: S311  # the same each time
        self.tracer = Tracer(sampler, self.spans, self.clock, GROUP)
        return RecordSpans(self.tracer)

    def handle(self, record: FakeRecord) -> OffsetTracker:
        """Handle one record; returns its topic's tracker."""
        partition = self.partitions.setdefault(record.topic, OffsetTracker(record.topic, 0, 0))
        self.handler.handle(record, partition)
        return partition

    def assign_overflow(self, partition: int = 0) -> OverflowTracker:
        """Assign a partition of the overflow topic, which is empty; returns its tracker."""
        tracker = OverflowTracker(OVERFLOW, partition, 0)
        self.overflow.assigned(tracker)
        return tracker

    def assign_home(self, partition: int = 0, partitions: int = 1) -> OverflowTracker:
        """Assign a partition of the overflow topic, of so many, that is known to be empty."""
        lines = self.overflow.lines
        lines.assign({partition}, partitions)
        tracker = self.assign_overflow(partition)
        lines.set_end(partition, 0, lines.unsure()[partition])
        return tracker

    def index_in_line(self, record: FakeRecord, tracker: OverflowTracker) -> FakeRecord:
        """Index a record that keeps an order. Returns it with its place."""
        record.topic, record.partition = tracker.topic, tracker.number
        record.offset = tracker.next_offset
        metadata = read_delivery_metadata(record.headers)
        reader = OverflowLines(self.overflow.lines)
        assert reader.index(tracker, record, metadata.hook, metadata.order.encode())
        return record

    def next_in_line(self, tracker: OverflowTracker, hook: str = "h1") -> int:
        """The offset of the first record whose line may go on, or -1."""
        home = self.overflow.lines.homes[tracker.number]
        return self.overflow.lines.advance(home, hook).first()

    def take_in_line(self, record: FakeRecord, tracker: OverflowTracker) -> None:
        """Take a record whose turn it is, as the overflow reader does."""
        hook = read_delivery_metadata(record.headers).hook
        home = self.overflow.lines.homes[tracker.number]
        tracker.taking = self.overflow.lines.take(home, hook, record.offset)
        self.overflow.taken(hook, is_ordered=True)
        self.handler.handle(record, tracker)

    def index(self, record: FakeRecord, tracker: OverflowTracker) -> FakeRecord:
        """Index a record of the overflow topic: it waits. Returns it with its place."""
        record.topic, record.partition = tracker.topic, tracker.number
        record.offset = tracker.next_offset
        hook = read_delivery_metadata(record.headers).hook
        tracker.add(record.offset, hook, self.clock.now())
        self.overflow.read(tracker, hook)
        return record

    def take(self, record: FakeRecord, tracker: OverflowTracker) -> None:
        """Take an indexed record for its endpoint, as the overflow reader does."""
        self.overflow.taken(read_delivery_metadata(record.headers).hook)
        self.handler.handle(record, tracker)

    def use(self, *hooks: Hook) -> None:
        """Reload the hooks."""
        self.handler.use(make_index(make_table(*hooks)))

    @property
    def post(self) -> list[Published]:
        """The records that wait for the broker, in order."""
        return [Published(outgoing) for outgoing in self.outbox._queue]

    def acknowledge(self) -> Published:
        """Have the broker acknowledge the oldest record."""
        posted = Published(self.outbox._queue.popleft())
        posted.outgoing.acknowledged()
        return posted

    def count(self, name: str, **labels: str) -> float | None:
        """The value of a metric."""
        return self.metrics.registry.get_sample_value(f"hookstream_{name}", labels)


class NoProducer:
    """A producer that is never called: these tests look into the queue instead."""

    async def send(self, topic: str, messages: object) -> Any:
        """Fail the test."""
        raise AssertionError(topic, messages)

    async def reset(self) -> None:
        """Fail the test."""


EVENT = {"id": "e1", "occurred_at": 1_799_999_999_000, "data": {"event_key": "purchase"}}
