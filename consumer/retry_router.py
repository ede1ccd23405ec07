"""What follows from a delivery's result: settled, deferred to a retry topic, or dead-lettered.

The only place that makes records for retry and dead-letter topics out of deliveries.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from consumer.clock import Clock
from consumer.delivery.scheduling.endpoint import Delivery
from consumer.delivery.scheduling.retry_policy import Defer
from consumer.events.model import is_plausible
from consumer.hooks.table import Hook
from consumer.logs import get_logger
from consumer.metrics import Metrics
from consumer.metrics.hooks import HookMetrics
from consumer.reasons import Reason
from consumer.records.delivery_metadata import DeliveryMetadata, OriginalRecord, Replay, read_replay
from consumer.records.record import Record
from consumer.records.tracker import InFlightRecord, OffsetTracker
from consumer.stream.outbox import Outbox
from consumer.stream.outgoing import Content, OutgoingRecord
from consumer.stream.retry_topic import UNKNOWN_HOOK_SECONDS, RetryTopic, unknown_hook_topic

log = get_logger(__name__)

_MAX_KNOWN_HOOKS = 10_000
"""Hooks that are remembered before the old ones are forgotten."""


class RetryRouter:
    """Publishes what was not delivered; the `Outcomes` of the dispatcher."""

    def __init__(
        self,
        *,
        retry_topics: Sequence[RetryTopic],
        dead_letter_topic: str,
        group: str,
        mapped_sources: Collection[str],
        outbox: Outbox,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        """`lanes`: the retry topics that the settings name; `group`: `kafka.group_id`;
        `mapped_sources`: the source topics with `fields`.
        """
        self.group = group
        self._group_bytes = group.encode()
        self._mapped_sources = mapped_sources
        self._retry_topics = retry_topics
        self._delays = [retry_topic.delay for retry_topic in retry_topics]
        self._dead_letter_topic = dead_letter_topic
        self._outbox = outbox
        self._clock = clock
        self._metrics = metrics
        self._disabled_since: dict[str, float] = {}
        """Epoch seconds at which this replica learnt that a hook is off, by hook id."""
        self._known_at: dict[str, float] = {}
        """Epoch seconds at which another replica last knew a hook that this one does not."""

    def use(self, hooks: Iterable[Hook]) -> None:
        """Take over the hooks of the first table, or of another one after a reload."""
        now, before = self._clock.now(), self._disabled_since
        self._disabled_since = {
            hook.id: before.get(hook.id, now) for hook in hooks if not hook.enabled
        }

    # What the dispatcher tells (`delivery.parking.Outcomes`).

    def delivered(self, delivery: Delivery[InFlightRecord]) -> None:
        """Settle."""
        metrics, occurred_at = delivery.endpoint.metrics, delivery.event.occurred_at
        metrics.delivered()
        now = self._clock.now()
        since = occurred_at if is_plausible(occurred_at, now) else self._received_at(delivery, now)
        metrics.latency(now - since)
        delivery.source_record.ack_one()

    def _received_at(self, delivery: Delivery[InFlightRecord], now: float) -> float:
        """Epoch seconds: when the event was received. One that was deferred was received a moment
        before it first failed, which its headers tell.
        """
        failed = delivery.first_failed_at
        if failed is not None and is_plausible(failed, now):
            return failed
        return now - (self._clock.monotonic() - delivery.source_record.received_at)

    def deferred(self, delivery: Delivery[InFlightRecord], deferral: Defer, cause: str) -> None:
        """Defer to a retry topic, then settle."""
        if self._disabled_since and delivery.endpoint.hook.id in self._disabled_since:
            self.dead_lettered(delivery, Reason.DISABLED, f"switched off meanwhile; {cause}")
            return
        metadata = self._delivery_metadata(
            delivery, cause, not_before=self._clock.now() + deferral.delay
        )
        topic = self._retry_topics[deferral.topic_number].topic
        self._publish(topic, delivery.source_record, metadata, delivery.endpoint.metrics)

    def dead_lettered(
        self, delivery: Delivery[InFlightRecord], reason: Reason, detail: str
    ) -> None:
        """Dead-letter, then settle."""
        metadata = self._delivery_metadata(delivery, reason, detail=detail)
        self._dead_letter(delivery.source_record, metadata, reason, delivery.endpoint.metrics)

    # What becomes of records without an attempt.

    def undecodable(
        self, record: Record, partition: OffsetTracker, trigger: str, detail: str
    ) -> None:
        """Dead-letter a record that is no event, as its raw bytes."""
        pending = partition.receive(record.offset, record, 1, self._clock.monotonic())
        metadata = DeliveryMetadata(
            reason=Reason.UNDECODABLE,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            timestamp=record.timestamp,
            trigger=trigger,
            detail=detail,
            replay=self._replay(record),
        )
        self._dead_letter(pending, metadata, Reason.UNDECODABLE, self._metrics.hook(""))

    def give_up(
        self,
        pending: InFlightRecord,
        metadata: DeliveryMetadata,
        reason: Reason,
        detail: str,
        known_hook: str,
    ) -> None:
        """Dead-letter a deferred delivery; `known_hook`: its hook, or "" if there is none now."""
        dead = replace(metadata, reason=reason, not_before=None, unknown_since=None, detail=detail)
        self._dead_letter(pending, dead, reason, self._metrics.hook(known_hook))

    def unknown_hook(
        self, pending: InFlightRecord, metadata: DeliveryMetadata, deferred_at: float
    ) -> None:
        """Defer a delivery again whose hook this replica does not know, up to the deadline.

        `deferred_at`: epoch seconds at which a replica wrote the record.
        """
        why = "no replica that read it knew the hook"
        self._await(pending, metadata, deferred_at, Reason.HOOK_REMOVED, why)

    def disabled_hook(
        self, pending: InFlightRecord, metadata: DeliveryMetadata, deferred_at: float
    ) -> None:
        """Dead-letter a delivery that was deferred, at `deferred_at` (epoch seconds), before its
        hook was switched off here.

        One that was deferred later comes from a replica where the hook is on, which may be the
        newer one: it is deferred again, as if the hook were unknown.
        """
        if deferred_at <= self._disabled_since.get(metadata.hook, deferred_at):
            self.give_up(pending, metadata, Reason.DISABLED, "", metadata.hook)
        else:
            why = "the hook was off at every replica that read it"
            self._await(pending, metadata, deferred_at, Reason.DISABLED, why)

    def unknown_source(
        self, pending: InFlightRecord, metadata: DeliveryMetadata, deferred_at: float
    ) -> None:
        """Defer a delivery again that only the settings of its source tell how to read, which this
        replica does not have: it may be the older one. Read otherwise, another request would go
        out.
        """
        why = f"no replica that read it had {metadata.topic} with its fields among its sources"
        self._await(pending, metadata, deferred_at, Reason.UNDECODABLE, why)

    def _await(
        self,
        pending: InFlightRecord,
        metadata: DeliveryMetadata,
        deferred_at: float,
        reason: Reason,
        why: str,
    ) -> None:
        """Defer again, up to the deadline, what another replica may know more about."""
        now, hook = self._clock.now(), metadata.hook
        since = now if metadata.unknown_since is None else min(metadata.unknown_since, now)
        if metadata.unknown_since is None:
            self._note_known(hook, min(deferred_at, now))
        left = max(since, self._known_at.get(hook, since)) + UNKNOWN_HOOK_SECONDS - now
        known_hook = "" if reason is Reason.HOOK_REMOVED else hook
        if left <= 0:
            detail = f"for {UNKNOWN_HOOK_SECONDS:.0f} s {why}"
            self.give_up(pending, metadata, reason, detail, known_hook)
            return
        retry_topic = self._retry_topics[unknown_hook_topic(self._delays, now - since, left)]
        deferred = replace(
            metadata,
            reason=reason,
            not_before=now + retry_topic.delay,
            unknown_since=since,
        )
        self._publish(retry_topic.topic, pending, deferred, self._metrics.hook(known_hook))

    def _note_known(self, hook: str, at: float) -> None:
        """A replica that knew `hook` deferred a delivery of it, `at` epoch seconds. As long as that
        goes on, as with a canary that runs for an hour, none is given up.
        """
        self._known_at[hook] = max(at, self._known_at.get(hook, at))
        if len(self._known_at) > _MAX_KNOWN_HOOKS:
            old = at - UNKNOWN_HOOK_SECONDS
            self._known_at = {name: then for name, then in self._known_at.items() if then > old}

    # How records go out.

    def dead_letter_without_value(self, record: OutgoingRecord, content: Content) -> None:
        """Dead-letter `record`, which its topic does not take for its size: its headers name the
        source where it can be read.
        """
        size = len(record.in_flight_record.record.value or b"")
        metadata = record.metadata
        if record.reason is Reason.TOO_LARGE:
            detail = metadata.detail
        else:
            why = f"{metadata.reason}: {metadata.detail}" if record.reason else metadata.reason
            detail = f"too large to hand over: {size} bytes, see its source; {why}"
        dead = replace(
            metadata, reason=Reason.TOO_LARGE, not_before=None, unknown_since=None, detail=detail
        )
        self._dead_letter(
            record.in_flight_record, dead, Reason.TOO_LARGE, record.metrics, content=content
        )

    def _dead_letter(
        self,
        pending: InFlightRecord,
        metadata: DeliveryMetadata,
        reason: Reason,
        metrics: HookMetrics,
        content: Content = Content.WHOLE,
    ) -> None:
        log.debug("dead letter", reason=reason, delivery=metadata.delivery_id)
        topic = self._dead_letter_topic
        self._publish(topic, pending, metadata, metrics, reason=reason, content=content)

    def _publish(
        self,
        topic: str,
        pending: InFlightRecord,
        metadata: DeliveryMetadata,
        metrics: HookMetrics,
        *,
        reason: Reason | None = None,
        content: Content = Content.WHOLE,
    ) -> None:
        record = OutgoingRecord(
            self, topic, pending, metadata, metrics, reason=reason, content=content
        )
        self._outbox.send(record)

    def _delivery_metadata(
        self,
        delivery: Delivery[InFlightRecord],
        reason: str,
        *,
        not_before: float | None = None,
        detail: str = "",
    ) -> DeliveryMetadata:
        record = delivery.source_record.record
        return DeliveryMetadata(
            reason=reason,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            timestamp=record.timestamp,
            trigger=delivery.event.trigger,
            delivery_id=delivery.id,
            hook=delivery.endpoint.hook.id,
            attempts=delivery.attempts,
            last_status=delivery.last_status,
            first_failed_at=delivery.first_failed_at,
            not_before=not_before,
            mapped=record.topic in self._mapped_sources,
            detail=detail,
            replay=self._replay(record),
        )

    def _replay(self, record: Record) -> Replay | None:
        """The replay that a consumed record went through."""
        if isinstance(record, OriginalRecord):
            return record.replay
        return read_replay(record.headers, self._group_bytes) if record.headers else None
