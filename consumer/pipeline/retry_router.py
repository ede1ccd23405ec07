"""Routes deliveries by their result: acknowledged, deferred to a retry topic, or dead-lettered."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace

from consumer.clock import Clock
from consumer.delivery.scheduling.delivery import Delivery
from consumer.delivery.scheduling.retry_policy import REFUSING, STOPPED, DeadLetter, Defer, Overflow
from consumer.events.model import is_plausible
from consumer.logs import get_logger
from consumer.metrics import Metrics
from consumer.metrics.hooks import HookMetrics
from consumer.pipeline.line_writer import LineWriter, line_of
from consumer.pipeline.metadata_maker import MetadataMaker
from consumer.pipeline.missing_hooks import MissingHooks
from consumer.reasons import Reason
from consumer.records.delivery_metadata import DeliveryMetadata
from consumer.records.overflow_tracker import OverflowTracker
from consumer.records.record import Record
from consumer.records.tracker import InFlightRecord, OffsetTracker
from consumer.stream.outbox import Outbox
from consumer.stream.outgoing import OutgoingRecord, Writer
from consumer.stream.overflow_topic import OverflowTopic
from consumer.stream.retry_topic import (
    UNKNOWN_HOOK_SECONDS,
    RetryTopic,
    awaited_schema_topic,
    unknown_hook_topic,
)
from consumer.tracing.spans import ProcessSpan

log = get_logger(__name__)


class RetryRouter:
    """Publishes what was not delivered: the scheduler's `Outcomes`."""

    def __init__(
        self,
        *,
        retry_topics: Sequence[RetryTopic],
        overflow: OverflowTopic,
        dead_letter_topic: str,
        group: str,
        mapped_sources: Collection[str],
        outbox: Outbox,
        clock: Clock,
        metrics: Metrics,
        gave_up: Callable[[DeliveryMetadata], None],
    ) -> None:
        """`retry_topics`: those that the settings name; `group`: `kafka.group_id`;
        `mapped_sources`: the source topics with `fields`. `gave_up` is told of each delivery of a
        hook that is dead-lettered outside the scheduler.
        """
        self._writer = Writer(group, dead_letter_topic, overflow.name, gave_up, overflow.lines)
        self._line_writer = LineWriter(self._writer, overflow, outbox)
        self._metadata_of = MetadataMaker(group, mapped_sources)
        self._retry_topics = retry_topics
        self._overflow = overflow
        self._delays = [retry_topic.delay for retry_topic in retry_topics]
        self._outbox = outbox
        self._clock = clock
        self._metrics = metrics
        self._missing = MissingHooks(overflow.lines)

    def use(self, disabled: Iterable[str]) -> None:
        """Note which hooks are disabled: at the start and after each change of definitions."""
        self._missing.use(disabled, self._clock.now())

    def amend(
        self, delivery: Delivery, deferral: Defer | Overflow
    ) -> Defer | Overflow | DeadLetter:
        """See `Outcomes.amend`."""
        if not self._missing.is_disabled(delivery.endpoint.hook.id):
            return deferral
        return DeadLetter(Reason.DISABLED, f"switched off meanwhile; {deferral.cause}")

    def delivered(self, delivery: Delivery) -> None:
        """Count the delivery with its latency, and acknowledge it."""
        metrics, occurred_at = delivery.endpoint.metrics, delivery.event.occurred_at
        metrics.delivered()
        now = self._clock.now()
        since = occurred_at if is_plausible(occurred_at, now) else self._received_at(delivery, now)
        metrics.latency(now - since)
        delivery.source_record.ack_one()
        if delivery.order:
            self._overflow.lines.end(delivery.order, delivery.source_record)

    def _received_at(self, delivery: Delivery, now: float) -> float:
        """Epoch seconds at which the event was received; of a deferred one, those of its first
        failure, a moment later.
        """
        failed = delivery.first_failed_at
        if failed is not None and is_plausible(failed, now):
            return failed
        return now - (self._clock.monotonic() - delivery.source_record.received_at)

    def deferred(self, delivery: Delivery, deferral: Defer, cause: str) -> None:
        """Publish to a retry topic, or to the overflow topic one that keeps an order; the broker's
        acknowledgement settles the delivery.
        """
        not_before = self._clock.now() + deferral.delay
        metadata = self._metadata_of(delivery, cause, not_before=not_before)
        if delivery.order:
            self._line_writer.publish(delivery, metadata)
            return
        topic = self._retry_topics[deferral.topic_number].topic
        self._publish(topic, delivery.source_record, metadata, delivery.endpoint.metrics)

    def overflowed(self, delivery: Delivery, cause: str) -> None:
        """Publish to the overflow topic; the broker's acknowledgement settles the delivery. One
        that came from there waits where it is, unless an attempt was counted since, or the receiver
        rejected it: it may be rejected for ever, and must not be each probe.
        """
        source, hook = delivery.source_record, delivery.endpoint.hook.id
        tracker = source.tracker
        is_as_read = delivery.attempts == source.attempts
        is_rejected = cause == REFUSING and delivery.began is not None
        if isinstance(tracker, OverflowTracker) and is_as_read and not is_rejected:
            line = tracker.line_of(source.offset)
            if line is not None or not delivery.order:
                tracker.put_back(source.offset, delivery.first_failed_at or 0.0)
                self._overflow.put_back(tracker, hook, line)
                return
        metadata = self._metadata_of(delivery, cause)
        if delivery.order:
            self._line_writer.publish(delivery, metadata)
            return
        partition = self._overflow.write(hook) if cause != STOPPED else None
        topic, metrics = self._overflow.name, delivery.endpoint.metrics
        self._publish(topic, source, metadata, metrics, partition=partition)

    def dead_lettered(self, delivery: Delivery, reason: Reason, detail: str) -> None:
        """Publish to the dead-letter topic; the broker's acknowledgement settles the delivery."""
        source, metrics = delivery.source_record, delivery.endpoint.metrics
        metadata = self._metadata_of(delivery, reason, detail=detail)
        self._dead_letter(source, metadata, reason, metrics, delivery.order)

    # Records without an attempt.

    def undecodable(
        self,
        record: Record,
        tracker: OffsetTracker,
        trigger: str,
        detail: str,
        span: ProcessSpan | None = None,
    ) -> None:
        """Dead-letter the raw bytes of a record that is no event."""
        source_record = tracker.receive(record.offset, record, 1, self._clock.monotonic())
        source_record.span = span
        metadata = DeliveryMetadata(
            reason=Reason.UNDECODABLE,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            timestamp=record.timestamp,
            trigger=trigger,
            detail=detail,
            replay=self._metadata_of.replay(record),
        )
        self._dead_letter(source_record, metadata, Reason.UNDECODABLE, self._metrics.hook(""))

    def give_up(
        self,
        source_record: InFlightRecord,
        metadata: DeliveryMetadata,
        reason: Reason,
        detail: str,
        known_hook: str,
    ) -> None:
        """Dead-letter a deferred delivery; `known_hook`: its hook, or "" if there is none now."""
        dead = metadata.dead_lettered(reason, detail)
        self._writer.gave_up(dead)
        self._dead_letter(source_record, dead, reason, self._metrics.hook(known_hook))

    def unknown_hook(
        self, source_record: InFlightRecord, metadata: DeliveryMetadata, deferred_at: float
    ) -> None:
        """Defer again, up to the deadline, a delivery whose hook this replica does not know.

        `deferred_at`: epoch seconds at which a replica wrote the record.
        """
        why = "no replica that read it knew the hook"
        self._await(source_record, metadata, deferred_at, Reason.HOOK_REMOVED, why)

    def disabled_hook(
        self, source_record: InFlightRecord, metadata: DeliveryMetadata, deferred_at: float
    ) -> None:
        """Dead-letter a delivery that was deferred before its hook was disabled here.

        If it was deferred later, it comes from a replica that has the hook enabled and may be the
        newer one: defer it again, as if the hook were unknown. `deferred_at`: epoch seconds.
        """
        if self._missing.was_disabled_at(metadata.hook, deferred_at):
            self.give_up(source_record, metadata, Reason.DISABLED, "", metadata.hook)
        else:
            why = "the hook was off at every replica that read it"
            self._await(source_record, metadata, deferred_at, Reason.DISABLED, why)

    def unknown_source(
        self, source_record: InFlightRecord, metadata: DeliveryMetadata, deferred_at: float
    ) -> None:
        """Defer again a delivery that needs its source's `fields`, which this replica lacks: read
        without them, it would send another request.
        """
        why = f"no replica that read it had {metadata.topic} with its fields among its sources"
        self._await(source_record, metadata, deferred_at, Reason.UNDECODABLE, why)

    def awaited_schema(
        self, source_record: InFlightRecord, metadata: DeliveryMetadata, waited: float
    ) -> None:
        """Defer again a delivery whose schema the registry does not give now: those behind it may
        need none. `waited`: the delay in seconds of the retry topic that it comes from.
        """
        retry_topic = self._retry_topics[awaited_schema_topic(self._delays, waited)]
        deferred = replace(metadata, not_before=self._clock.now() + retry_topic.delay)
        self._publish(retry_topic.topic, source_record, deferred, self._metrics.hook(metadata.hook))

    def _await(
        self,
        source_record: InFlightRecord,
        metadata: DeliveryMetadata,
        deferred_at: float,
        reason: Reason,
        why: str,
    ) -> None:
        """Defer again, up to the deadline, a delivery that another replica may be able to send."""
        now, hook = self._clock.now(), metadata.hook
        since = now if metadata.unknown_since is None else min(metadata.unknown_since, now)
        if metadata.unknown_since is None:
            self._missing.note_known(hook, min(deferred_at, now))
        left = self._missing.seconds_left(hook, since, now)
        known_hook = "" if reason is Reason.HOOK_REMOVED else hook
        if left <= 0:
            detail = f"for {UNKNOWN_HOOK_SECONDS:.0f} s {why}"
            self.give_up(source_record, metadata, reason, detail, known_hook)
            return
        retry_topic = self._retry_topics[unknown_hook_topic(self._delays, now - since, left)]
        deferred = replace(
            metadata, reason=reason, not_before=now + retry_topic.delay, unknown_since=since
        )
        line, metrics = line_of(source_record), self._metrics.hook(known_hook)
        if line is None:
            self._publish(retry_topic.topic, source_record, deferred, metrics)
        else:
            self._line_writer.write(line, source_record, deferred, metrics)

    # Outgoing records.

    def _dead_letter(
        self,
        source_record: InFlightRecord,
        metadata: DeliveryMetadata,
        reason: Reason,
        metrics: HookMetrics,
        line: int = 0,
    ) -> None:
        log.debug("dead letter", reason=reason, delivery=metadata.delivery_id)
        topic = self._writer.dead_letter_topic
        self._publish(topic, source_record, metadata, metrics, reason=reason, line=line)

    def _publish(
        self,
        topic: str,
        source_record: InFlightRecord,
        metadata: DeliveryMetadata,
        metrics: HookMetrics,
        *,
        reason: Reason | None = None,
        partition: int | None = None,
        line: int = 0,
    ) -> None:
        record = OutgoingRecord(
            self._writer, topic, source_record, metadata, metrics,
            reason=reason, partition=partition, line=line,
        )  # fmt: skip
        self._outbox.send(record)
