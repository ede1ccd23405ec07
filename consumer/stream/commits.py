"""Commits the settled prefix of each partition: one commit at a time, each with a timeout."""

import asyncio

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, KafkaError

from consumer.clock import Clock
from consumer.logs import get_logger
from consumer.stream.assignment import Assignment
from consumer.stream.positions import Committed
from consumer.stream.tasks import timeout

log = get_logger(__name__)

LATE_COMMIT_WINDOW_SECONDS = 60.0
"""A commit that timed out may still reach the broker within this time: longer than aiokafka waits
for an answer."""


class Commits:
    """The commits of one group member."""

    def __init__(self, consumer: AIOKafkaConsumer, assignment: Assignment, clock: Clock) -> None:
        self._consumer = consumer
        self._assignment = assignment
        self._clock = clock
        self._known: dict[TopicPartition, Committed] = {}
        """What the group is known to have committed."""
        self._one_at_a_time = asyncio.Lock()
        self._recommit_all_until = clock.monotonic()

    def found(self, tp: TopicPartition, committed: Committed) -> None:
        """Note an earlier commit of the group."""
        self._known[tp] = committed

    def forget(self, tp: TopicPartition) -> None:
        """Forget a partition's commit: another member may commit from now on."""
        self._known.pop(tp, None)

    async def commit(self, max_seconds: float) -> None:
        """Commit every settled prefix that moved, within `max_seconds`; a failure is retried by a
        later call.

        A commit without an answer may still arrive, after a newer one over another connection. So
        for `LATE_COMMIT_WINDOW_SECONDS` after a failure everything is committed again.
        """
        async with self._one_at_a_time:
            recommit_all = self._clock.monotonic() < self._recommit_all_until
            moved = {
                tp: committed
                for tp, committed in self._committable().items()
                if recommit_all or committed != self._known.get(tp)
            }
            if not moved:
                return
            offsets = {tp: (at.offset, at.metadata()) for tp, at in moved.items()}
            try:
                async with timeout(max_seconds):
                    await self._consumer.commit(offsets)
            except (KafkaError, TimeoutError) as error:
                level = log.info if isinstance(error, CommitFailedError) else log.warning
                level("offsets not committed, will be retried", error=type(error).__name__)
                self._recommit_all_until = self._clock.monotonic() + LATE_COMMIT_WINDOW_SECONDS
                return
            self._known.update(moved)

    def _committable(self) -> dict[TopicPartition, Committed]:
        """Offsets to commit, without deleted topics, which would make the whole commit fail."""
        trackers, notes = self._assignment.trackers, self._assignment.notes
        existing = self._consumer.partitions_for_topic
        topics = {topic for topic in {tp.topic for tp in trackers} if existing(topic)}
        return {
            tp: Committed(tracker.committable, notes[tp], tracker.settled_text)
            for tp, tracker in trackers.items()
            if tp.topic in topics
        }
