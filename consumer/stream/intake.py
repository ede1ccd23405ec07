"""Takes records from Kafka, keeps the partitions' trackers, and commits what is settled."""

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, KafkaError

from consumer.clock import Clock
from consumer.errors import HookstreamError
from consumer.events.decode import Record
from consumer.logs import get_logger
from consumer.stream.handler import Handler
from consumer.stream.lag import LagWatch
from consumer.stream.lanes import Lane
from consumer.stream.membership import Membership
from consumer.stream.poller import Poller
from consumer.stream.record_headers import read_not_before
from consumer.stream.retry_topics import RetryTopics
from consumer.stream.tasks import drop_connections, watch_tasks, within
from consumer.stream.tracker import Partition

log = get_logger(__name__)

COMMIT_INTERVAL = 1.0
_COMMIT_TIMEOUT = 5.0
_STRAY = 60.0
"""Seconds in which a commit that was given up may still reach the broker: longer than aiokafka
waits for an answer."""
_LEAST = 0.2
"""Seconds that a commit and the leaving of the group have in any case."""
DRAIN_BUDGET = 5.0
"""Seconds that a revocation waits for what is under way, before it parks the rest."""
_SLICE = 50
"""Records that are taken in before the event loop has another turn: a few milliseconds, where they
come out of a lane.
"""
_GLANCE = 0.01
"""Seconds between two looks whether all is settled."""
PARK_BUDGET = 5.0
"""Seconds for the broker to acknowledge what a revocation parked."""


class Intake(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """One member of the consumer group.

    Trackers are made at a partition's first record, because an assignment is active before its
    listener runs, and dropped at revocation.
    """

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        handler: Handler,
        *,
        sources: Sequence[str],
        retry_topics: RetryTopics,
        clock: Clock,
        commit_timeout: float = _COMMIT_TIMEOUT,
    ) -> None:
        self._commit_timeout = commit_timeout
        self._consumer = consumer
        self._handler = handler
        self._sources = sources
        self.retry_topics = retry_topics
        self._lanes: Mapping[str, Lane] = retry_topics.consumed
        self._clock = clock
        self._partitions: dict[TopicPartition, Partition] = {}
        self._poller = Poller(consumer, self._next_offset, clock)
        self.unreadable = self._poller.unreadable
        self.watch = LagWatch(consumer, self._committable, self._poller.holds, clock)
        self._committed: dict[TopicPartition, int] = {}
        self._committing = asyncio.Lock()
        self._stray_until = clock.monotonic()
        self._stopping = asyncio.Event()
        self.membership = Membership(consumer, clock)
        self._epoch = 0
        self._moved_at = clock.monotonic()
        self._leave_by = float("inf")

    async def start(self) -> None:
        """Join the group."""
        self.retry_topics.adopt()
        self._consumer.subscribe(self._topics, listener=self)
        await self._consumer.start()
        self.membership.watch_heartbeats()

    async def run(self) -> None:
        """Take records until `stop_taking`; raises what the broker will never forgive."""
        while not self._stopping.is_set():
            self._moved_at = self._clock.monotonic()
            if self._handler.full:
                await self._handler.room()
                continue
            if self.retry_topics.changed:
                await self._resubscribe()
            epoch = self._epoch
            try:
                batches = await self._poller.poll()
            except HookstreamError as error:
                if not self.retry_topics.leave_out(error.__cause__):
                    raise
                continue
            if epoch != self._epoch:
                # The poll outlived an assignment: it may have drained the next one already.
                self._poller.lose_place()
                continue
            for place, records in batches.items():
                await self._take(place, records, epoch)
            if epoch == self._epoch and not self._stopping.is_set():  # all of it was taken
                await self._poller.pass_gaps(self._partitions)

    async def _resubscribe(self) -> None:
        """Consume other retry topics.

        This assignment ends in order before: once aiokafka has another subscription, it commits
        nothing of this one.
        """
        await self.on_partitions_revoked(self._consumer.assignment())
        self.retry_topics.adopt()
        self._consumer.subscribe(self._topics, listener=self)

    async def commit_regularly(self) -> None:
        """Commit what is settled once each interval, until cancelled."""
        while True:
            await asyncio.sleep(COMMIT_INTERVAL)
            await self.commit()

    async def watch_client(self) -> None:
        """Raise `HookstreamError` where the client has lost what it works by."""
        await watch_tasks(self._consumer)

    def stop_taking(self, leave_by: float = float("inf")) -> None:
        """Take no more records; what was taken goes on. `leave_by`: monotonic seconds by which
        all must be committed and closed, should the broker answer or not.
        """
        self._leave_by = leave_by
        self._stopping.set()

    async def close(self) -> None:
        """Commit, leave the group, close. Each step is bounded."""
        await self.commit()
        # In a task of its own: while the broker is away, aiokafka cancels a fetch of its own in
        # here and lets that cancellation escape.
        leaving = asyncio.ensure_future(self._consumer.stop())
        _, late = await asyncio.wait({leaving}, timeout=self._patience())
        if late:
            leaving.cancel()
            log.warning("could not leave the group in time; it will notice by itself")
        elif not leaving.cancelled() and (error := leaving.exception()) is not None:
            log.warning("the Kafka client was not closed in order", error=repr(error))
            drop_connections(self._consumer)

    async def commit(self) -> None:
        """Commit every partition's settled prefix that moved; a failure is tried again later.

        A commit that got no answer is still on its way, and one over a new connection can overtake
        it. So for a while after a failure everything is committed again, moved or not.
        """
        async with self._committing:
            astray = self._clock.monotonic() < self._stray_until
            moved = {
                place: offset
                for place, partition in self._partitions.items()
                if (offset := partition.committable) is not None
                and (astray or offset != self._committed.get(place))
            }
            if not moved:
                return
            try:
                async with within(self._patience()):
                    await self._consumer.commit(moved)
            except (KafkaError, TimeoutError) as error:
                level = log.info if isinstance(error, CommitFailedError) else log.warning
                level("offsets not committed; tried again", error=type(error).__name__)
                self._stray_until = self._clock.monotonic() + _STRAY
                return
            self._committed.update(moved)

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Tell the handler its share; trackers come with the first record."""
        self.membership.assigned()
        self.retry_topics.look_soon()
        mine = Counter(place.topic for place in assigned)
        every = self._consumer.partitions_for_topic
        self._handler.assigned({t: (mine[t], len(every(t) or ())) for t in self._topics})
        log.info("partitions assigned", partitions=_names(assigned))

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Give the partitions back as far as they are still ours, and forget them."""
        self._epoch += 1  # nothing is taken any more: its partition might be missing in here
        self.membership.revoked()
        leaving = {place: p for place in revoked if (p := self._partitions.get(place))}
        try:
            if not self.membership.is_expelled:
                await self._give_back(leaving.values())
            elif leaving:
                # Others have sent it by now, and no commit is taken: it is void.
                void = sum(partition.unsettled for partition in leaving.values())
                log.warning("expelled from the group; what was under way is void", records=void)
        finally:
            # aiokafka swallows what a listener raises: the partitions must go all the same.
            for place, partition in leaving.items():
                partition.revoked = True
                self._partitions.pop(place, None)
            for place in revoked:
                self._poller.forget(place)
                self._committed.pop(place, None)
        if revoked:
            log.info("partitions revoked", partitions=_names(revoked))

    async def _give_back(self, leaving: Collection[Partition]) -> None:
        """Let what is under way finish, park the rest, commit."""
        if not await self.settled(DRAIN_BUDGET, leaving):
            gone = set(leaving)
            self._handler.park(lambda pending: pending.partition in gone)
            await self.settled(PARK_BUDGET, gone)
        await self.commit()

    @property
    def _topics(self) -> list[str]:
        return [*self._sources, *self._lanes]

    def oldest_unsettled(self) -> float:
        """Seconds since the oldest unsettled record was received; 0.0 where all is settled."""
        received = [p.oldest for p in self._partitions.values() if p.oldest is not None]
        return max(0.0, self._clock.monotonic() - min(received)) if received else 0.0

    @property
    def unsettled(self) -> int:
        """Records received and not settled."""
        return sum(partition.unsettled for partition in self._partitions.values())

    @property
    def idle(self) -> float:
        """Seconds since intake last went round: it never waits for long."""
        return self._clock.monotonic() - self._moved_at

    async def settled(self, budget: float, partitions: Collection[Partition] | None = None) -> bool:
        """Wait up to `budget` seconds until nothing of `partitions` (all) is unsettled."""
        places = self._partitions.values() if partitions is None else partitions
        deadline = self._clock.monotonic() + budget
        while any(partition.unsettled for partition in places):
            if self._clock.monotonic() >= deadline:
                return False
            await asyncio.sleep(_GLANCE)
        return True

    async def _take(self, place: TopicPartition, records: Sequence[Record], epoch: int) -> None:
        """Take in `records`, polled in the assignment `epoch`; of an earlier one they are void."""
        if epoch != self._epoch:
            return
        partition = self._partitions.get(place)
        if partition is None:
            partition = self._partitions[place] = Partition(place.topic, place.partition)
        lane = self._lanes.get(place.topic)
        handler = self._handler
        for number, record in enumerate(records):
            if number % _SLICE == _SLICE - 1:
                await asyncio.sleep(0)
            while handler.full and epoch == self._epoch and not self._stopping.is_set():
                await handler.room()
            if epoch != self._epoch or self._stopping.is_set():
                return
            if lane is not None and handler.is_foreign(record):
                partition.skip(record.offset)  # due or not: it holds back nothing of ours
            elif lane is not None and (due := self._early_until(place, record, lane)) is not None:
                partition.reach(record.offset)
                self._poller.hold(place, records, number, due)
                return
            else:
                self._take_one(record, partition)

    def _take_one(self, record: Record, partition: Partition) -> None:
        try:
            self._handler.take(record, partition)
        except Exception as bug:  # noqa: BLE001  # whatever it is, the record stays
            # Never settled, so never committed past: a bug must lose nothing.
            partition.receive(record.offset, record, 1, self._clock.monotonic())
            log.error("a record could not be processed", cause=bug, **_place(record))

    def _patience(self) -> float:
        """Seconds for the next step: of the time that is left, half, so that others have some."""
        left = self._leave_by - self._clock.monotonic()
        return max(_LEAST, min(self._commit_timeout, left / 2))

    def _committable(self, place: TopicPartition) -> int | None:
        partition = self._partitions.get(place)
        return partition.committable if partition is not None else None

    def _next_offset(self, place: TopicPartition) -> int | None:
        partition = self._partitions.get(place)
        return partition.next_offset if partition is not None else None

    def _early_until(self, place: TopicPartition, record: Record, lane: Lane) -> float | None:
        """Monotonic seconds at which `record` is due; None if it is. Until then its partition, and
        only its partition, waits for it.
        """
        now = self._clock.monotonic()
        # One monotonic due time per record: a clock that is set does not move it.
        due_at = self._poller.held(place, record.offset)
        if due_at is None:
            due_at = now + self._due_in(record, lane)
        return due_at if due_at > now else None

    def _due_in(self, record: Record, lane: Lane) -> float:
        return lane.wait(
            parked_at=record.timestamp / 1000,
            not_before=read_not_before(record.headers),
            now=self._clock.now(),
        )


def _names(places: Collection[TopicPartition]) -> list[str]:
    return sorted(f"{place.topic}/{place.partition}" for place in places)


def _place(record: Record) -> dict[str, object]:
    return {"topic": record.topic, "partition": record.partition, "offset": record.offset}
