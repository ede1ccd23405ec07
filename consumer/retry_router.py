"""What follows from a delivery's result: settled, deferred to a retry topic, or dead-lettered.

The only place that makes records for retry and dead-letter topics out of deliveries.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from consumer.clock import Clock
from consumer.delivery.endpoint import Delivery
from consumer.delivery.outcome import Park
from consumer.events.decode import Record
from consumer.events.model import is_plausible
from consumer.hooks.table import Hook
from consumer.logs import get_logger
from consumer.metrics import Metrics
from consumer.metrics.hooks import HookMetrics
from consumer.reasons import Reason
from consumer.stream.handover import Handover
from consumer.stream.lanes import UNKNOWN_HOOK_SECONDS, Lane, unknown_hook_lane
from consumer.stream.outgoing import Content, OutgoingRecord
from consumer.stream.passport import FirstRecord, Passport, Replay, read_replay
from consumer.stream.tracker import Partition, Pending

log = get_logger(__name__)

_MAX_KNOWN = 10_000
"""Hooks that are remembered before the old ones are forgotten."""


class RetryRouter:
    """Publishes what was not delivered; the `Outcomes` of the dispatcher."""

    def __init__(
        self,
        *,
        lanes: Sequence[Lane],
        dead_letter_topic: str,
        group: str,
        mapped_sources: Collection[str],
        handover: Handover,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        """`lanes`: the retry topics that the settings name; `group`: `kafka.group_id`;
        `mapped_sources`: the source topics with `fields`.
        """
        self.group = group
        self._group_bytes = group.encode()
        self._mapped_sources = mapped_sources
        self._lanes = lanes
        self._delays = [lane.delay for lane in lanes]
        self._dead_letter_topic = dead_letter_topic
        self._handover = handover
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

    def delivered(self, delivery: Delivery[Pending]) -> None:
        """Settle."""
        metrics, occurred_at = delivery.endpoint.metrics, delivery.event.occurred_at
        metrics.delivered()
        now = self._clock.now()
        since = occurred_at if is_plausible(occurred_at, now) else self._received_at(delivery, now)
        metrics.latency(now - since)
        delivery.origin.settle_one()

    def _received_at(self, delivery: Delivery[Pending], now: float) -> float:
        """Epoch seconds: when the event was received. One that was deferred was received a moment
        before it first failed, which its headers tell.
        """
        failed = delivery.first_failed_at
        if failed is not None and is_plausible(failed, now):
            return failed
        return now - (self._clock.monotonic() - delivery.origin.received_at)

    def parked(self, delivery: Delivery[Pending], park: Park, cause: str) -> None:
        """Defer to a retry topic, then settle."""
        if self._disabled_since and delivery.endpoint.hook.id in self._disabled_since:
            self.buried(delivery, Reason.DISABLED, f"switched off meanwhile; {cause}")
            return
        passport = self._passport(delivery, cause, not_before=self._clock.now() + park.delay)
        topic = self._lanes[park.lane].topic
        self._publish(topic, delivery.origin, passport, delivery.endpoint.metrics)

    def buried(self, delivery: Delivery[Pending], reason: Reason, detail: str) -> None:
        """Dead-letter, then settle."""
        passport = self._passport(delivery, reason, detail=detail)
        self._dead_letter(delivery.origin, passport, reason, delivery.endpoint.metrics)

    # What becomes of records without an attempt.

    def undecodable(self, record: Record, partition: Partition, trigger: str, detail: str) -> None:
        """Dead-letter a record that is no event, as its raw bytes."""
        pending = partition.receive(record.offset, record, 1, self._clock.monotonic())
        passport = Passport(
            reason=Reason.UNDECODABLE,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            timestamp=record.timestamp,
            trigger=trigger,
            detail=detail,
            replay=self._replay(record),
        )
        self._dead_letter(pending, passport, Reason.UNDECODABLE, self._metrics.hook(""))

    def give_up(
        self, pending: Pending, passport: Passport, reason: Reason, detail: str, known_hook: str
    ) -> None:
        """Dead-letter a deferred delivery; `known_hook`: its hook, or "" if there is none now."""
        dead = replace(passport, reason=reason, not_before=None, unknown_since=None, detail=detail)
        self._dead_letter(pending, dead, reason, self._metrics.hook(known_hook))

    def unknown_hook(self, pending: Pending, passport: Passport, deferred_at: float) -> None:
        """Defer a delivery again whose hook this replica does not know, up to the deadline.

        `deferred_at`: epoch seconds at which a replica wrote the record.
        """
        why = "no replica that read it knew the hook"
        self._await(pending, passport, deferred_at, Reason.HOOK_REMOVED, why)

    def disabled_hook(self, pending: Pending, passport: Passport, deferred_at: float) -> None:
        """Dead-letter a delivery that was deferred, at `deferred_at` (epoch seconds), before its
        hook was switched off here.

        One that was deferred later comes from a replica where the hook is on, which may be the
        newer one: it is deferred again, as if the hook were unknown.
        """
        if deferred_at <= self._disabled_since.get(passport.hook, deferred_at):
            self.give_up(pending, passport, Reason.DISABLED, "", passport.hook)
        else:
            why = "the hook was off at every replica that read it"
            self._await(pending, passport, deferred_at, Reason.DISABLED, why)

    def unknown_source(self, pending: Pending, passport: Passport, deferred_at: float) -> None:
        """Defer a delivery again that only the settings of its source tell how to read, which this
        replica does not have: it may be the older one. Read otherwise, another request would go
        out.
        """
        why = f"no replica that read it had {passport.topic} with its fields among its sources"
        self._await(pending, passport, deferred_at, Reason.UNDECODABLE, why)

    def _await(
        self, pending: Pending, passport: Passport, deferred_at: float, reason: Reason, why: str
    ) -> None:
        """Defer again, up to the deadline, what another replica may know more about."""
        now, hook = self._clock.now(), passport.hook
        since = now if passport.unknown_since is None else min(passport.unknown_since, now)
        if passport.unknown_since is None:
            self._note_known(hook, min(deferred_at, now))
        left = max(since, self._known_at.get(hook, since)) + UNKNOWN_HOOK_SECONDS - now
        known_hook = "" if reason is Reason.HOOK_REMOVED else hook
        if left <= 0:
            detail = f"for {UNKNOWN_HOOK_SECONDS:.0f} s {why}"
            self.give_up(pending, passport, reason, detail, known_hook)
            return
        lane = self._lanes[unknown_hook_lane(self._delays, now - since, left)]
        deferred = replace(
            passport,
            reason=reason,
            not_before=now + lane.delay,
            unknown_since=since,
        )
        self._publish(lane.topic, pending, deferred, self._metrics.hook(known_hook))

    def _note_known(self, hook: str, at: float) -> None:
        """A replica that knew `hook` deferred a delivery of it, `at` epoch seconds. As long as that
        goes on, as with a canary that runs for an hour, none is given up.
        """
        self._known_at[hook] = max(at, self._known_at.get(hook, at))
        if len(self._known_at) > _MAX_KNOWN:
            old = at - UNKNOWN_HOOK_SECONDS
            self._known_at = {name: then for name, then in self._known_at.items() if then > old}

    # How records go out.

    def dead_letter_without_value(self, record: OutgoingRecord, content: Content) -> None:
        """Dead-letter `record`, which its topic does not take for its size: its headers name the
        source where it can be read.
        """
        size = len(record.pending.record.value or b"")
        passport = record.passport
        if record.reason is Reason.TOO_LARGE:
            detail = passport.detail
        else:
            why = f"{passport.reason}: {passport.detail}" if record.reason else passport.reason
            detail = f"too large to hand over: {size} bytes, see its source; {why}"
        dead = replace(
            passport, reason=Reason.TOO_LARGE, not_before=None, unknown_since=None, detail=detail
        )
        self._dead_letter(record.pending, dead, Reason.TOO_LARGE, record.metrics, content=content)

    def _dead_letter(
        self,
        pending: Pending,
        passport: Passport,
        reason: Reason,
        metrics: HookMetrics,
        content: Content = Content.WHOLE,
    ) -> None:
        log.debug("dead letter", reason=reason, delivery=passport.delivery_id)
        topic = self._dead_letter_topic
        self._publish(topic, pending, passport, metrics, reason=reason, content=content)

    def _publish(
        self,
        topic: str,
        pending: Pending,
        passport: Passport,
        metrics: HookMetrics,
        *,
        reason: Reason | None = None,
        content: Content = Content.WHOLE,
    ) -> None:
        record = OutgoingRecord(
            self, topic, pending, passport, metrics, reason=reason, content=content
        )
        self._handover.send(record)

    def _passport(
        self,
        delivery: Delivery[Pending],
        reason: str,
        *,
        not_before: float | None = None,
        detail: str = "",
    ) -> Passport:
        record = delivery.origin.record
        return Passport(
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
        if isinstance(record, FirstRecord):
            return record.replay
        return read_replay(record.headers, self._group_bytes) if record.headers else None
