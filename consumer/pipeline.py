"""Decode, match, deliver, settle: the only place that joins stream and delivery."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from consumer.clock import Clock
from consumer.delivery.dispatcher import Dispatcher
from consumer.delivery.endpoint import Delivery
from consumer.delivery.outcome import Park
from consumer.delivery.registry import Shares
from consumer.delivery.request import delivery_ids
from consumer.events.decode import Decoder, Record, UndecodableError
from consumer.events.model import TRIGGERS, Event, Trigger
from consumer.hooks.table import Hook
from consumer.logs import get_logger
from consumer.matching.index import Index
from consumer.metrics import Metrics
from consumer.reasons import Reason
from consumer.stream.handover import Handover
from consumer.stream.lanes import Lane
from consumer.stream.passport import FirstRecord, Headers, Passport, read_passport, read_replay
from consumer.stream.tracker import Partition, Pending

log = get_logger(__name__)

_GLANCE = 0.01
"""Seconds between two looks for room while intake is paused."""


class Pipeline:
    """The way of an event; also the `Outcomes` of its dispatcher.

    `index` is the one reference to the hooks: a reload puts another in its place.
    """

    def __init__(
        self,
        *,
        index: Index,
        decoders: Mapping[str, Decoder],
        lanes: Sequence[Lane],
        dead_letter_topic: str,
        handover: Handover,
        dispatcher: Callable[["Pipeline"], Dispatcher[Pending]],
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        """`decoders` by topic; `dispatcher` makes the one that tells this pipeline its outcomes."""
        self.index = index
        self._decoders = decoders
        self._events = {t: metrics.events(d.trigger) for t, d in decoders.items()}
        self._lanes = lanes
        self._lanes_by_topic = {lane.topic: lane for lane in lanes}
        self._dead_letter_topic = dead_letter_topic
        self._handover = handover
        self._clock = clock
        self._metrics = metrics
        self.dispatcher = dispatcher(self)

    # What intake feeds (`stream.intake.Handler`).

    @property
    def full(self) -> bool:
        """Whether intake must pause."""
        return self.dispatcher.full or self._handover.full

    async def room(self) -> None:
        """Wait for room; slow endpoints are relieved of what would hold up the others.

        By the table, not by who has deliveries: the others' may be behind in the same topic.
        """
        if len(self.index.hooks) > 1:
            self.dispatcher.relieve()
        if self.full:
            await asyncio.sleep(_GLANCE)

    def take(self, record: Record, partition: Partition) -> None:
        """Take one record in, of a source topic or of a retry lane."""
        if record.topic in self._lanes_by_topic:
            self._take_again(record, partition)
        else:
            self._take_event(record, partition)

    def assigned(self, counts: Mapping[str, tuple[int, int]]) -> None:
        """Divide the rate limits among the replicas by the partitions that each has.

        A hook's events come from its trigger's topics and from the retry lanes.
        """

        def share(topics: Iterable[str]) -> float:
            mine, every = map(sum, zip(*(counts[topic] for topic in topics), strict=True))
            return mine / every if mine else 1.0  # without a partition nothing is sent

        by_trigger: dict[Trigger, list[str]] = {trigger: [] for trigger in TRIGGERS}
        for topic, decoder in self._decoders.items():
            by_trigger[decoder.trigger].append(topic)
        shares = {t: share([*topics, *self._lanes_by_topic]) for t, topics in by_trigger.items()}
        self.dispatcher.divide(Shares(shares, share(counts)))

    def park(self, which: Callable[[Pending], bool]) -> None:
        """Hand over to the first retry lane what is without an outcome."""
        self.dispatcher.park_all(which)

    def _take_event(self, record: Record, partition: Partition) -> None:
        counts = self._events[record.topic]
        try:
            event = self._decoders[record.topic](record)
        except UndecodableError as error:
            counts.undecodable()
            self._bury_bytes(record, partition, self._decoders[record.topic].trigger, str(error))
            return
        hooks = self.index.match(event)
        if not hooks:
            counts.unmatched()
            partition.skip(record.offset)
            return
        counts.matched()
        pending = partition.receive(record.offset, record, len(hooks), self._clock.monotonic())
        dispatcher = self.dispatcher
        delivery_id = delivery_ids(event.id)
        for hook in hooks:
            dispatcher.submit(
                Delivery(
                    id=delivery_id(hook.id),
                    event=event,
                    endpoint=dispatcher.endpoint(hook),
                    origin=pending,
                )
            )

    def _take_again(self, record: Record, partition: Partition) -> None:
        """Go on with a delivery out of a retry lane, with the hook as it is defined now."""
        try:
            passport = read_passport(record.headers)
        except UndecodableError as error:
            self._bury_bytes(record, partition, "", str(error))
            return
        first = FirstRecord(passport, record)
        pending = partition.receive(record.offset, first, 1, self._clock.monotonic())
        hook = self.index.hooks.get(passport.hook)
        if hook is None or not hook.enabled:
            self._give_up(pending, passport, Reason.DISABLED if hook else Reason.HOOK_REMOVED)
            return
        try:
            event = self._decoder(passport)(first)
        except UndecodableError as error:
            # The topic's mapping changed. It keeps its delivery, so that a replay goes on with it.
            self._give_up(pending, passport, Reason.UNDECODABLE, str(error))
            return
        delivery = self._resume(passport, event, hook, pending)
        self.dispatcher.resubmit(delivery, self._lanes_by_topic[record.topic].delay)

    def _give_up(
        self, pending: Pending, passport: Passport, reason: Reason, detail: str = ""
    ) -> None:
        """Bury a delivery out of a retry lane without another attempt."""
        dead = replace(passport, reason=reason, not_before=None, detail=detail)
        self._bury(pending, dead, self._dead_lettered(dead))

    def _dead_lettered(self, passport: Passport) -> Callable[[], None]:
        """Counts a dead letter, under its hook where there is one by that name now."""
        known = passport.hook if passport.hook in self.index.hooks else ""
        return partial(self._metrics.hook(known).dead_lettered, Reason(passport.reason))

    def _decoder(self, passport: Passport) -> Decoder:
        """The decoder of the topic that the event came from, be it a source still or not."""
        decoder = self._decoders.get(passport.topic)
        if decoder is not None:
            return decoder
        for trigger in TRIGGERS:
            if trigger == passport.trigger:
                return Decoder(trigger)
        raise UndecodableError("the header hookstream-trigger names no trigger")

    def _resume(
        self, passport: Passport, event: Event, hook: Hook, pending: Pending
    ) -> Delivery[Pending]:
        return Delivery(
            # A record that somebody else wrote may lack it.
            id=passport.delivery_id or delivery_ids(event.id)(hook.id),
            event=event,
            endpoint=self.dispatcher.endpoint(hook),
            origin=pending,
            attempts=passport.attempts,
            first_failed_at=passport.first_failed_at,
            last_status=passport.last_status,
        )

    # What the dispatcher tells (`delivery.dispatcher.Outcomes`).

    def delivered(self, delivery: Delivery[Pending]) -> None:
        """Settle."""
        metrics = delivery.endpoint.metrics
        metrics.delivered()
        metrics.latency(self._clock.now() - delivery.event.occurred_at)
        delivery.origin.settle_one()

    def parked(self, delivery: Delivery[Pending], park: Park, cause: str) -> None:
        """Hand over to a retry lane, then settle."""
        passport = _passport(delivery, cause, not_before=self._clock.now() + park.delay)
        topic = self._lanes[park.lane].topic
        self._hand_over(topic, delivery.origin, passport, delivery.endpoint.metrics.retried)

    def buried(self, delivery: Delivery[Pending], reason: Reason, detail: str) -> None:
        """Hand over to the dead-letter topic, then settle."""
        counted = partial(delivery.endpoint.metrics.dead_lettered, reason)
        self._bury(delivery.origin, _passport(delivery, reason, detail=detail), counted)

    def _bury_bytes(self, record: Record, partition: Partition, trigger: str, detail: str) -> None:
        """Hand over a record that is no event, as its raw bytes."""
        now = self._clock.monotonic()
        pending = partition.receive(record.offset, record, 1, now)
        passport = Passport(
            reason=Reason.UNDECODABLE,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            timestamp=record.timestamp,
            trigger=trigger,
            detail=detail,
            replay=read_replay(record.headers),
        )
        counted = partial(self._metrics.hook("").dead_lettered, Reason.UNDECODABLE)
        self._bury(pending, passport, counted)

    def _bury(self, pending: Pending, passport: Passport, counted: Callable[[], None]) -> None:
        log.debug("dead letter", reason=passport.reason, delivery=passport.delivery_id)
        self._hand_over(self._dead_letter_topic, pending, passport, counted)

    def _hand_over(
        self,
        topic: str,
        pending: Pending,
        passport: Passport,
        counted: Callable[[], None],
        *,
        whole: bool = True,
    ) -> None:
        letter = _Letter(topic, pending, passport, counted, self._bury_cut, whole=whole)
        self._handover.send(letter)

    def _bury_cut(self, letter: "_Letter") -> None:
        """Bury without key and value what is too large to be handed over: the headers name the
        place where they can be read.
        """
        size = len(letter.pending.record.value or b"")
        detail = f"too large to hand over: {size} bytes, see its source"
        cut = replace(letter.passport, detail=detail, not_before=None)
        if letter.topic != self._dead_letter_topic:
            cut = replace(cut, reason=Reason.EXHAUSTED)
        counted = self._dead_lettered(cut)
        self._hand_over(self._dead_letter_topic, letter.pending, cut, counted, whole=False)


class _Letter:
    """One record on its way to a retry or dead-letter topic: a `handover.Letter`.

    Settled when the broker has it. What it is made of is kept, and what is sent made of that.
    """

    __slots__ = ("_counted", "_cut", "_whole", "passport", "pending", "topic")

    def __init__(
        self,
        topic: str,
        pending: Pending,
        passport: Passport,
        counted: Callable[[], None],
        cut: "Callable[[_Letter], None]",
        *,
        whole: bool,
    ) -> None:
        self.topic = topic
        self.pending = pending
        self.passport = passport
        self._counted = counted
        self._cut = cut
        self._whole = whole

    @property
    def key(self) -> bytes | None:
        return self.pending.record.key if self._whole else None

    @property
    def value(self) -> bytes | None:
        return self.pending.record.value if self._whole else b""

    @property
    def headers(self) -> Headers:
        return self.passport.headers()

    @property
    def wanted(self) -> bool:
        return not self.pending.revoked

    def acknowledged(self) -> None:
        self._counted()
        self.pending.settle_one()

    def too_large(self) -> None:
        self._cut(self)


def _passport(
    delivery: Delivery[Pending], reason: str, *, not_before: float | None = None, detail: str = ""
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
        detail=detail,
        replay=read_replay(record.headers),
    )
