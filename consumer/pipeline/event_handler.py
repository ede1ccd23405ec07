"""Decode, match, submit: turns consumed records into deliveries."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping

from consumer.clock import Clock
from consumer.delivery.http.request import delivery_ids
from consumer.delivery.scheduling.delivery import Delivery
from consumer.delivery.scheduling.limits import Shares
from consumer.delivery.scheduling.scheduler import Scheduler
from consumer.events.decode import Decoder
from consumer.events.model import Event
from consumer.events.triggers import TRIGGERS, Trigger
from consumer.hooks.table import Hook
from consumer.logs import get_logger
from consumer.matching.index import Index
from consumer.metrics import Metrics
from consumer.pipeline.line_writer import line_of
from consumer.pipeline.record_spans import RecordSpans
from consumer.pipeline.retry_router import RetryRouter
from consumer.pipeline.user_order import UserOrder
from consumer.reasons import Reason
from consumer.records.delivery_metadata import (
    DeliveryMetadata,
    read_delivery_metadata,
)
from consumer.records.headers import read_group, read_replaying_group
from consumer.records.original_record import OriginalRecord
from consumer.records.record import Record, SchemaWantedError, UndecodableError
from consumer.records.tracker import InFlightRecord, OffsetTracker
from consumer.stream.outbox import Outbox
from consumer.stream.overflow_topic import OverflowTopic
from consumer.stream.retry_topic import RetryTopic

log = get_logger(__name__)

CAPACITY_POLL_SECONDS = 0.01
"""Seconds between two checks for capacity while intake is paused."""
_NO_ENDPOINT = (64, 0.05)
"""The room of an unknown hook: what waits for it is routed without an attempt."""


class EventHandler:
    """Submits a delivery for each hook that matches a record: the `stream.handler.Handler`."""

    def __init__(
        self,
        *,
        index: Index,
        decoders: Mapping[str, Decoder],
        retry_topics: Mapping[str, RetryTopic],
        overflow: OverflowTopic,
        group: str,
        router: RetryRouter,
        outbox: Outbox,
        scheduler: Scheduler,
        clock: Clock,
        metrics: Metrics,
        spans: RecordSpans | None = None,
    ) -> None:
        """`decoders`: by source topic; `retry_topics`: those that are consumed, by name, a live
        mapping; `group`: `kafka.group_id`; `spans`: None without tracing.
        """
        self._decoders = decoders
        self._events = {t: metrics.events(d.trigger) for t, d in decoders.items()}
        self._retry_topics = retry_topics
        self._overflow = overflow
        self._group = group.encode()
        self._router = router
        self._outbox = outbox
        self.scheduler = scheduler
        self._order = UserOrder(overflow, scheduler, clock)
        self._clock = clock
        self._metrics = metrics
        self._spans = spans
        self._foreign_topics: set[str] = set()
        metrics.set_filtered_source(self._filtered)
        self.use(index)

    def use(self, index: Index) -> None:
        """Match the next events with these hooks."""
        self.index = index
        self._router.use(index.disabled.hooks if index.disabled is not None else ())

    @property
    def at_capacity(self) -> bool:
        """See `Handler.at_capacity`."""
        return self.scheduler.at_capacity or self._outbox.at_capacity or self._order.at_capacity

    async def wait_for_capacity(self) -> None:
        """See `Handler.wait_for_capacity`; slow endpoints shed load for the sake of the others."""
        # Count the configured hooks, not the queued deliveries: other hooks' events may be later in
        # the same topic.
        if len(self.index.hooks) > 1:
            self.scheduler.shed_load()
        if self._order.at_capacity:
            self._order.shed()
        if self.at_capacity:
            await asyncio.sleep(CAPACITY_POLL_SECONDS)

    def is_foreign(self, record: Record) -> bool:
        """See `Handler.is_foreign`; such records are counted."""
        group = read_group(record.headers)
        if group is None or group == self._group:
            return False
        self._skip_foreign(record.topic, group)
        return True

    def handle(self, record: Record, tracker: OffsetTracker) -> None:
        """Take in one record of a source topic, of a retry topic or of the overflow topic."""
        if record.topic in self._retry_topics or record.topic == self._overflow.name:
            self._handle_deferred(record, tracker)
        else:
            self._handle_event(record, tracker)

    def on_assigned(self, counts: Mapping[str, tuple[int, int]]) -> None:
        """Divide the rate limits among the replicas by the partitions that each has.

        A hook's events come from its trigger's topics and from our own.
        """

        def share(topics: Iterable[str]) -> float:
            mine, every = map(sum, zip(*(counts[topic] for topic in topics), strict=True))
            return mine / every if mine else 1.0  # without a partition nothing is sent

        by_trigger: dict[Trigger, list[str]] = {trigger: [] for trigger in TRIGGERS}
        for topic, decoder in self._decoders.items():
            by_trigger[decoder.trigger].append(topic)
        own = [topic for topic in counts if topic not in self._decoders]
        self._order.sweep()
        shares = {t: share([*topics, *own]) for t, topics in by_trigger.items()}
        self.scheduler.divide(Shares(shares, share(counts)))

    def defer(self, which: Callable[[InFlightRecord], bool]) -> None:
        """See `Handler.defer`."""
        self.scheduler.defer_all(which)

    def release(self, which: Callable[[InFlightRecord], bool]) -> None:
        """See `Handler.release`."""
        self._order.release(which)
        self.scheduler.release(which)

    def room(self, hook: str, first_failed_at: float) -> tuple[int, float]:
        """See `Handler.room`."""
        known = self.index.hooks.get(hook)
        return self.scheduler.room(known, first_failed_at) if known is not None else _NO_ENDPOINT

    def _handle_event(self, record: Record, tracker: OffsetTracker) -> None:
        if record.headers and self._is_replay_of_others(record):
            tracker.skip(record.offset)
            return
        counts = self._events[record.topic]
        decoder = self._decoders[record.topic]
        span = self._spans.begin(record) if self._spans is not None else None
        try:
            event = decoder(record)
        except UndecodableError as error:
            counts.undecodable()
            self._router.undecodable(record, tracker, decoder.trigger, str(error), span)
            return
        index = self.index
        if index.disabled is not None:
            self._count_disabled(index.disabled.match(event))
        hooks = index.match(event)
        if not hooks:
            counts.unmatched()
            tracker.skip(record.offset)
            if span is not None:
                span.end()
            return
        counts.matched()
        source_record = tracker.receive(record.offset, record, len(hooks), self._clock.monotonic())
        source_record.span = span
        scheduler, behind = self.scheduler, self._overflow.behind
        delivery_id = delivery_ids(event.id)
        for hook in hooks:
            endpoint = scheduler.endpoint(hook)
            delivery = Delivery(
                id=delivery_id(hook.id),
                event=event,
                endpoint=endpoint,
                source_record=source_record,
            )
            if endpoint.ordered and self._order.take(delivery):
                continue
            if behind and hook.id in behind:
                if scheduler.line_up(delivery):
                    self._overflow.catch_up.went_behind()
            else:
                scheduler.submit(delivery)

    def _count_disabled(self, hooks: Iterable[Hook]) -> None:
        for hook in hooks:
            self._metrics.hook(hook.id).disabled_matches += 1

    def _filtered(self) -> Iterator[tuple[str, int]]:
        return self.index.filtered()

    def _is_replay_of_others(self, record: Record) -> bool:
        """Whether another group replayed the record to this source topic for itself: it was
        undecodable, and this group has settled its first copy.
        """
        group = read_replaying_group(record.headers)
        if group is None or group == self._group:
            return False
        self._skip_foreign(record.topic, group)
        return True

    def _skip_foreign(self, topic: str, group: bytes) -> None:
        self._metrics.stream.foreign_record(topic)
        if topic not in self._foreign_topics:
            self._foreign_topics.add(topic)
            log.warning(
                "records of another group are passed over; "
                "give each kafka.group_id a kafka.topic_prefix of its own",
                topic=topic,
                group=group.decode(errors="backslashreplace"),
            )

    def _handle_deferred(self, record: Record, tracker: OffsetTracker) -> None:
        """Resume a deferred delivery, with the hook as it is defined now."""
        try:
            metadata = read_delivery_metadata(record.headers)
        except UndecodableError as error:
            self._router.undecodable(record, tracker, "", str(error))
            return
        original = OriginalRecord(metadata, record)
        hook = self.index.hooks.get(metadata.hook)
        event = self._resumed(metadata, original, record) if hook and hook.enabled else None
        source_record = tracker.receive(record.offset, original, 1, self._clock.monotonic())
        source_record.attempts = metadata.attempts
        if self._spans is not None:
            source_record.span = self._spans.resume(record, metadata)
        router, deferred_at = self._router, record.timestamp / 1000
        if hook is None:
            router.unknown_hook(source_record, metadata, deferred_at)
        elif not hook.enabled:
            router.disabled_hook(source_record, metadata, deferred_at)
        elif event is None:
            router.unknown_source(source_record, metadata, deferred_at)
        elif isinstance(event, SchemaWantedError):
            waited = self._retry_topics[record.topic].delay
            router.awaited_schema(source_record, metadata, waited)
        elif isinstance(event, str):
            # The topic's mapping changed. The dead letter keeps the delivery's id for a replay.
            router.give_up(source_record, metadata, Reason.UNDECODABLE, event, hook.id)
        else:
            self._resubmit(self._resume(metadata, event, hook, source_record), metadata.reason)

    def _resubmit(self, delivery: Delivery, reason: str) -> None:
        line = line_of(delivery.source_record)
        if line is not None:
            delivery.order = line.key
        elif delivery.endpoint.ordered and self._order.take(delivery):
            return
        self.scheduler.resubmit(delivery, reason)

    def _resumed(
        self, metadata: DeliveryMetadata, original: OriginalRecord, record: Record
    ) -> Event | str | SchemaWantedError | None:
        """The event of a deferred delivery; a text: why it cannot be decoded; None: this replica
        lacks the settings of its source. Raises `SchemaWantedError`; returns it if the delivery had
        better wait behind others.
        """
        if metadata.mapped and metadata.topic not in self._decoders:
            return None
        try:
            return self._decoder(metadata)(original)
        except UndecodableError as error:
            return str(error)
        except SchemaWantedError as wanted:
            if wanted.is_away and record.topic in self._retry_topics:
                return wanted
            raise

    def _decoder(self, metadata: DeliveryMetadata) -> Decoder:
        """The decoder of the topic that the event came from, which may no longer be a source."""
        decoder = self._decoders.get(metadata.topic)
        if decoder is not None:
            return decoder
        for trigger in TRIGGERS:
            if trigger == metadata.trigger:
                return Decoder(trigger)
        raise UndecodableError("the header hookstream-trigger names no trigger")

    def _resume(
        self, metadata: DeliveryMetadata, event: Event, hook: Hook, source_record: InFlightRecord
    ) -> Delivery:
        return Delivery(
            # Another program's record may lack it.
            id=metadata.delivery_id or delivery_ids(event.id)(hook.id),
            event=event,
            endpoint=self.scheduler.endpoint(hook),
            source_record=source_record,
            attempts=metadata.attempts,
            first_failed_at=metadata.first_failed_at,
            last_status=metadata.last_status,
        )
