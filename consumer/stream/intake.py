"""Takes records from Kafka, keeps the partitions' trackers, and commits what is settled."""

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition

from consumer.clock import Clock
from consumer.errors import HookstreamError
from consumer.logs import get_logger
from consumer.metrics.stream import StreamMetrics
from consumer.records.record import Record
from consumer.records.tracker import OffsetTracker
from consumer.stream.assignment import Assignment
from consumer.stream.cluster_view import View
from consumer.stream.commits import Commits
from consumer.stream.feed import Feed
from consumer.stream.handler import Handler
from consumer.stream.known_retry_topics import KnownRetryTopics
from consumer.stream.lag import LagWatch
from consumer.stream.membership import Membership
from consumer.stream.placement import Placement
from consumer.stream.poller import Poller
from consumer.stream.tasks import drop_connections, watch_tasks

log = get_logger(__name__)

COMMIT_INTERVAL = 1.0
_COMMIT_TIMEOUT = 5.0
_LEAST = 0.2
"""Seconds that a commit and the leaving of the group have in any case."""
DRAIN_BUDGET = 5.0
"""Seconds that a revocation waits for what is under way, before it parks the rest."""
DRAIN_POLL_SECONDS = 0.01
"""Seconds between two looks whether all is settled."""
DEFER_BUDGET = 5.0
"""Seconds for the broker to acknowledge what a revocation parked."""


class Intake(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """One member of the consumer group."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        view: View,
        handler: Handler,
        *,
        sources: Mapping[str, int],
        retry_topics: KnownRetryTopics,
        clock: Clock,
        metrics: StreamMetrics,
        commit_timeout: float = _COMMIT_TIMEOUT,
    ) -> None:
        """`sources`: topics, and where each begins that the group has not committed
        (`positions.first_time`).
        """
        self._commit_timeout = commit_timeout
        self._consumer = consumer
        self._handler = handler
        self._sources = sources
        self.retry_topics = retry_topics
        self._clock = clock
        self._assignment = Assignment(consumer)
        self._commits = Commits(consumer, self._assignment, clock)
        self._poller = Poller(consumer, self._assignment.next_offset, self._out_of_range, clock)
        self._feed = Feed(handler, self._assignment, self._poller, retry_topics.consumed, clock)
        self.watch = LagWatch(view, self._assignment, self._poller.is_paused, clock)
        self.placement = Placement(
            view,
            self._assignment,
            self._commits,
            sources=sources,
            retry_topics=retry_topics,
            suspend=self._suspend,
            clock=clock,
            metrics=metrics,
        )
        self.unreadable = self._poller.unreadable
        self._stopping = asyncio.Event()
        self.membership = Membership(consumer, clock)
        self._assignment_generation = 0
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
            if self._handler.at_capacity:
                await self._handler.wait_for_capacity()
                continue
            if self.retry_topics.changed:
                await self._resubscribe()
            epoch = self._assignment_generation
            taken = await self._poll(epoch)

            def goes_on(epoch: int = epoch) -> bool:
                return epoch == self._assignment_generation and not self._stopping.is_set()

            for partition, records in taken:
                await self._feed.take(partition, records, goes_on)
            if goes_on():  # all of it was taken
                await self._poller.skip_gaps(self._assignment.read)

    async def _poll(self, epoch: int) -> list[tuple[OffsetTracker, Sequence[Record]]]:
        """The next records, with the partitions that they are of, in the assignment `epoch`."""
        read, moved = self._assignment.read, self._assignment.moved
        moved.clear()
        try:
            batches = await self._poller.poll()
        except HookstreamError as error:
            if not self.retry_topics.leave_out(error.__cause__):
                raise
            return []
        if epoch != self._assignment_generation:
            # The poll outlived an assignment: it may have drained the next one already.
            self._poller.invalidate_positions()
            return []
        for tp in moved & batches.keys():
            # The same for one partition, whose position was set meanwhile.
            self._consumer.seek(tp, read[tp].next_offset)
        return [
            (read[tp], records) for tp, records in batches.items() if tp in read and tp not in moved
        ]

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
            drop_connections(self._consumer)
            log.warning("could not leave the group in time; it will notice by itself")
        elif not leaving.cancelled() and (error := leaving.exception()) is not None:
            log.warning("the Kafka client was not closed in order", error=repr(error))
            drop_connections(self._consumer)

    async def commit(self) -> None:
        """Commit what is settled; a failure is tried again later."""
        await self._commits.commit(self._patience())

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Tell the handler its share; each partition waits for its position."""
        self._assignment.assign(assigned)
        self.placement.hurry()
        self.membership.assigned()
        self.retry_topics.look_soon()
        mine = Counter(tp.topic for tp in assigned)
        every = self._consumer.partitions_for_topic
        self._handler.on_assigned({t: (mine[t], len(every(t) or ())) for t in self._topics})
        log.info("partitions assigned", partitions=_names(assigned))

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Give the partitions back as far as they are still ours, and forget them."""
        self._assignment_generation += 1  # nothing is taken any more
        self.membership.revoked()
        there, read = self._consumer.partitions_for_topic, self._assignment.read
        # What is under way of a topic that was deleted goes on: nobody can read it again.
        leaving = {p for tp in revoked if (p := read.get(tp)) and there(tp.topic)}
        try:
            if not self.membership.is_expelled:
                await self._give_back(leaving)
            elif leaving:
                # Others have sent it by now, and no commit is taken: it is void.
                void = sum(partition.unsettled for partition in leaving)
                log.warning("expelled from the group; what was under way is void", records=void)
        finally:
            # aiokafka swallows what a listener raises: the partitions must go all the same.
            self._assignment.revoke(revoked)
            for tp in revoked:
                self._poller.forget(tp)
                self._commits.forget(tp)
        if revoked:
            log.info("partitions revoked", partitions=_names(revoked))

    async def _give_back(self, leaving: Collection[OffsetTracker]) -> None:
        """Let what is under way finish, park the rest, commit."""
        if not await self.settled(DRAIN_BUDGET, leaving):
            self._handler.defer(lambda pending: pending.tracker in leaving)
            await self.settled(DEFER_BUDGET, leaving)
        await self.commit()

    @property
    def _topics(self) -> list[str]:
        return [*self._sources, *self.retry_topics.consumed]

    def oldest_unsettled(self) -> float:
        """Seconds since the oldest unsettled record was received; 0.0 where all is settled."""
        received = [p.oldest for p in self._assignment.under_way() if p.oldest is not None]
        return max(0.0, self._clock.monotonic() - min(received)) if received else 0.0

    @property
    def unsettled(self) -> int:
        """Records received and not settled."""
        return sum(partition.unsettled for partition in self._assignment.under_way())

    @property
    def idle(self) -> float:
        """Seconds since intake last went round: it never waits for long."""
        return self._clock.monotonic() - self._moved_at

    async def settled(
        self, budget: float, partitions: Collection[OffsetTracker] | None = None
    ) -> bool:
        """Wait up to `budget` seconds until nothing of `partitions` (all) is unsettled."""
        deadline = self._clock.monotonic() + budget
        while sum(p.unsettled for p in partitions) if partitions is not None else self.unsettled:
            if self._clock.monotonic() >= deadline:
                return False
            await asyncio.sleep(DRAIN_POLL_SECONDS)
        return True

    def _patience(self) -> float:
        """Seconds for the next step: of the time that is left, half, so that others have some."""
        left = self._leave_by - self._clock.monotonic()
        return max(_LEAST, min(self._commit_timeout, left / 2))

    def _suspend(self, tp: TopicPartition) -> None:
        """Let a partition wait for another position."""
        self._poller.forget(tp)
        self._assignment.suspend(tp)

    def _out_of_range(self, tp: TopicPartition) -> None:
        self._suspend(tp)
        self.placement.hurry()


def _names(partitions: Collection[TopicPartition]) -> list[str]:
    return sorted(f"{tp.topic}/{tp.partition}" for tp in partitions)
