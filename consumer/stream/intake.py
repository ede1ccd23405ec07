"""Consumes records from Kafka and commits the settled ones."""

import asyncio
from collections import Counter
from collections.abc import Collection, Coroutine, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition

from consumer.clock import Clock
from consumer.errors import HookstreamError
from consumer.logs import get_logger
from consumer.metrics.stream import StreamMetrics
from consumer.records.record import Record
from consumer.records.tracker import OffsetTracker
from consumer.stream.assignment import Assignment, partition_names
from consumer.stream.assignor import Homes
from consumer.stream.cluster_view import View
from consumer.stream.commits import Commits
from consumer.stream.feed import Feed
from consumer.stream.flow import FlowMeter
from consumer.stream.give_back import GiveBack
from consumer.stream.handler import Handler
from consumer.stream.known_retry_topics import KnownRetryTopics
from consumer.stream.lag import LagWatch
from consumer.stream.membership import Membership
from consumer.stream.overflow_reader import OverflowReader
from consumer.stream.overflow_topic import OverflowTopic
from consumer.stream.placement import Placement
from consumer.stream.poller import Poller
from consumer.stream.tasks import leave_group, watch_tasks

log = get_logger(__name__)

_COMMIT_TIMEOUT_SECONDS = 5.0
_MIN_STEP_SECONDS = 0.2
"""Minimum time for a commit, and for leaving the group."""


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
        overflow: OverflowTopic,
        clock: Clock,
        metrics: StreamMetrics,
        commit_timeout: float = _COMMIT_TIMEOUT_SECONDS,
    ) -> None:
        """`sources`: topics, and the start of each without a commit (`positions.first_time`)."""
        self._commit_timeout = commit_timeout
        self._consumer = consumer
        self._handler = handler
        self._sources = sources
        self.retry_topics = retry_topics
        self._clock = clock
        self._overflow = overflow
        self._assignment = Assignment(consumer, overflow)
        self._commits = Commits(consumer, self._assignment, clock)
        self._poller = Poller(consumer, self._assignment.next_offset, self._out_of_range, clock)
        self._overflow_reader = OverflowReader(
            consumer,
            handler,
            self._assignment,
            overflow,
            is_held=self._poller.is_paused,
            clock=clock,
        )
        self.watch = LagWatch(view, self._assignment, self._waits_on_purpose, clock)
        self._feed = Feed(
            handler,
            self._assignment,
            self._poller,
            retry_topics=retry_topics.consumed,
            overflow=self._overflow_reader,
            check_commits=self._commits.check,
            clock=clock,
        )
        self.placement = Placement(
            view,
            self._assignment,
            self._commits,
            sources=sources,
            retry_topics=retry_topics,
            overflow=overflow,
            suspend=self._suspend,
            clock=clock,
            metrics=metrics,
        )
        self.unreadable = self._poller.unreadable
        self.awaiting_schema = self._poller.awaiting_schema
        held = (self.unreadable, self.awaiting_schema)
        self.flow = FlowMeter(self._assignment, sources, overflow, held)
        self._stopping = asyncio.Event()
        self.membership = Membership(consumer, clock)
        consumer.assignor.owned = self._owned
        consumer.assignor.homes = self._homes
        self._assignment_generation = 0
        self.give_back = GiveBack(
            consumer,
            handler,
            self._assignment,
            self._commits,
            self.membership,
            drop_fetched=self._poller.forget,
            step_timeout=self._step_timeout,
            clock=clock,
        )
        self._moved_at = clock.monotonic()
        self._leave_by = float("inf")

    async def start(self) -> None:
        """Join the group."""
        self.retry_topics.adopt()
        self._consumer.subscribe(self._topics, listener=self)
        await self._consumer.start()
        self.membership.watch_heartbeats()

    async def run(self) -> None:
        """Take records until `stop_taking`. Raises `HookstreamError` for a permanent refusal."""
        while not self._stopping.is_set():
            self._moved_at = self._clock.monotonic()
            self._commits.check()
            if self._handler.at_capacity:
                await self._handler.wait_for_capacity()
                continue
            if self.retry_topics.changed:
                await self._resubscribe()
            self._overflow_reader.steer()
            generation = self._assignment_generation
            taken = await self._poll(generation)

            def is_current(generation: int = generation) -> bool:
                return generation == self._assignment_generation and not self._stopping.is_set()

            for partition, records in taken:
                await self._feed.take(partition, records, is_current)
            if is_current():  # all polled records were taken
                await self._poller.skip_gaps(self._assignment.trackers)

    async def _poll(self, generation: int) -> list[tuple[OffsetTracker, Sequence[Record]]]:
        """Poll the next records of the assignment `generation`, by partition."""
        trackers, moved = self._assignment.trackers, self._assignment.moved
        moved.clear()
        try:
            batches = await self._poller.poll(self._held())
        except HookstreamError as error:
            if not self.retry_topics.leave_out(error.__cause__):
                raise
            return []
        if generation != self._assignment_generation:
            # The poll outlived its assignment, and may have drained records of the next one.
            self._poller.invalidate_positions()
            return []
        for tp in moved & batches.keys():
            # The position was set during the poll, so the polled records are void.
            self._consumer.seek(tp, self._assignment.next_offset(tp))
        return [
            (trackers[tp], records)
            for tp, records in batches.items()
            if tp in trackers and tp not in moved
        ]

    def _held(self) -> Collection[TopicPartition]:
        """The partitions that wait until this process has caught up: the sources' or none."""
        if not self._overflow.catch_up.holds(self._clock.monotonic()):
            return ()
        return [tp for tp in self._assignment.trackers if tp.topic in self._sources]

    async def _resubscribe(self) -> None:
        """Subscribe to another set of retry topics.

        Give back this assignment first: until the next one aiokafka knows of no partition.
        """
        self._assignment_generation += 1  # nothing is taken any more
        self.membership.revoked()
        await self.give_back.all()
        self.retry_topics.adopt()
        self._consumer.subscribe(self._topics, listener=self)

    async def commit_regularly(self) -> None:
        """Commit settled records regularly, until cancelled."""
        await self._commits.run(self._commit_timeout)

    def helpers(self) -> list[Coroutine[Any, Any, None]]:
        """What must run beside `run`, each until cancelled; `HookstreamError` is unrecoverable."""
        return [
            self.commit_regularly(),
            self.give_back.run(),
            self.placement.run(),
            self.watch.run(),
            self.retry_topics.run(),
            self.membership.watch(),
            watch_tasks(self._consumer),
        ]

    def stop_taking(self, leave_by: float = float("inf")) -> None:
        """Take no more records; in-flight ones continue. `leave_by`: monotonic deadline for the
        last commit and `close`, even if the broker does not answer.
        """
        self._leave_by = leave_by
        self._stopping.set()

    async def close(self) -> None:
        """Commit, leave the group and close, each step with a timeout."""
        await self.commit()
        await leave_group(self._consumer, self._step_timeout())

    async def commit(self) -> None:
        """Commit settled records; a failure is retried by a later call."""
        await self._commits.commit(self._step_timeout())

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Take nothing until the next assignment. The partitions are still owned: the group gives
        away only what `give_back` has given back.
        """
        del revoked
        self._assignment_generation += 1  # nothing is taken any more
        self._assignment.begin_rebalance()
        self.membership.revoked()
        self.give_back.forget_if_expelled()
        await self._commits.begin_rebalance(self._step_timeout())

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Go on with the partitions that stay, let new ones wait for their position, let those that
        are to move to another member be given back, and tell the handler the new share.
        """
        self.give_back.forget_if_expelled()  # it may have happened during the rebalance
        for tp in self._assignment.owned:
            self._poller.forget(tp)
        self._assignment.assign(assigned)
        self.membership.assigned()
        self._commits.end_rebalance()
        self.give_back.check()
        self.placement.check_soon()
        self.retry_topics.check_soon()
        mine = Counter(tp.topic for tp in assigned)
        existing = self._consumer.partitions_for_topic
        self._handler.on_assigned({t: (mine[t], len(existing(t) or ())) for t in self._topics})
        log.info("partitions assigned", partitions=partition_names(assigned))

    def _owned(self) -> Collection[TopicPartition]:
        """The partitions that this member goes on with if they are assigned to it again."""
        return () if self.membership.is_expelled else self._assignment.owned

    def _homes(self) -> Homes | None:
        """Where the partitions of the overflow topic are best, once a hook keeps an order."""
        has_lines = self._overflow.lines.has_been_used
        return Homes(self._overflow.name, self._sources) if has_lines else None

    @property
    def _topics(self) -> list[str]:
        return [*self._sources, *self.retry_topics.consumed, self._overflow.name]

    def oldest_unsettled(self) -> float:
        """Seconds since the oldest unsettled record was received; 0.0 if all are settled."""
        received = [p.oldest for p in self._assignment.with_unsettled() if p.oldest is not None]
        return max(0.0, self._clock.monotonic() - min(received)) if received else 0.0

    @property
    def partitions(self) -> list[tuple[str, int]]:
        """The partitions that are read, or wait to be: topic and number."""
        return sorted((tp.topic, tp.partition) for tp in self._assignment.owned)

    @property
    def unsettled(self) -> int:
        """Number of records received and not settled."""
        return self._assignment.unsettled

    @property
    def idle(self) -> float:
        """Seconds since the intake loop's last iteration, which is short unless stuck."""
        return self._clock.monotonic() - self._moved_at

    def _step_timeout(self) -> float:
        """Seconds for the next step: at most half of the remaining time, the rest is for others."""
        remaining = self._leave_by - self._clock.monotonic()
        return max(_MIN_STEP_SECONDS, min(self._commit_timeout, remaining / 2))

    def _waits_on_purpose(self, tp: TopicPartition) -> bool:
        return (
            self._poller.is_paused(tp)
            or tp in self.awaiting_schema
            or self._overflow_reader.is_full(tp)
        )

    def _suspend(self, tp: TopicPartition) -> None:
        """Let a partition wait for a new position."""
        self._poller.forget(tp)
        self._assignment.suspend(tp)

    def _out_of_range(self, tp: TopicPartition) -> None:
        self._suspend(tp)
        self.placement.check_soon()
