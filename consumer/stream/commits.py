"""Commits the settled prefix of each partition: one commit at a time, each with a timeout."""

import asyncio
from contextlib import suppress

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, KafkaError

from consumer.clock import Clock
from consumer.logs import get_logger
from consumer.stream.assignment import Assignment
from consumer.stream.positions import Committed
from consumer.stream.tasks import timeout

log = get_logger(__name__)

COMMIT_INTERVAL_SECONDS = 0.25
"""How long a settled record waits for its commit at most, if `MAX_UNCOMMITTED` are not reached."""
MAX_UNCOMMITTED = 500
"""Settled offsets that are committed at once. With those until the commit is answered a crash
repeats at most a thousand, and what was in flight."""
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
        self._due = asyncio.Event()
        self._is_assigned = asyncio.Event()
        """Cleared during a rebalance, when a commit would be refused, and would begin another."""
        self._is_assigned.set()
        self._recommit_all_until = clock.monotonic()

    def found(self, tp: TopicPartition, committed: Committed) -> None:
        """Note an earlier commit of the group."""
        self._known[tp] = committed

    def forget(self, tp: TopicPartition) -> None:
        """Forget a partition's commit: another member may commit from now on."""
        self._known.pop(tp, None)

    def check(self) -> None:
        """Let `run` commit at once if that would pass `MAX_UNCOMMITTED` offsets. After a failure
        only time counts, so that a broker that refuses commits is not asked all the time.
        """
        if self._clock.monotonic() < self._recommit_all_until:
            return
        known, settled = self._known, 0
        for tp, tracker in self._assignment.trackers.items():
            committed = known.get(tp)
            if committed is not None:
                settled += tracker.committable - committed.offset
        if settled >= MAX_UNCOMMITTED:
            self._due.set()

    async def run(self, max_seconds: float) -> None:
        """Commit every `COMMIT_INTERVAL_SECONDS`, and when `check` finds that many records are
        settled, until cancelled.
        """
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(COMMIT_INTERVAL_SECONDS):
                    await self._due.wait()
            await self.commit(max_seconds)
            self._due.clear()

    async def begin_rebalance(self, max_seconds: float) -> None:
        """Commit a last time; no other commit goes on or begins until `end_rebalance`."""
        self._is_assigned.clear()
        await self._commit(max_seconds)

    def end_rebalance(self) -> None:
        """Note an assignment."""
        self._is_assigned.set()

    async def wait_for_assignment(self) -> None:
        """Wait for the end of a rebalance that is under way."""
        await self._is_assigned.wait()

    async def commit(self, max_seconds: float) -> None:
        """Commit every settled prefix that moved, within `max_seconds`, after a rebalance that is
        under way, but not later than that; a failure is retried by a later call.

        A commit without an answer may still arrive, after a newer one over another connection. So
        for `LATE_COMMIT_WINDOW_SECONDS` after a failure everything is committed again.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(max_seconds):
                await self._is_assigned.wait()
        await self._commit(max_seconds)

    async def _commit(self, max_seconds: float) -> None:
        async with self._one_at_a_time:
            recommit_all = self._clock.monotonic() < self._recommit_all_until
            moved = self._existing(
                self._assignment.committable_offsets({} if recommit_all else self._known)
            )
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

    def _existing(
        self, offsets: dict[TopicPartition, Committed]
    ) -> dict[TopicPartition, Committed]:
        """Offsets without those of deleted topics, which would make the whole commit fail."""
        existing = self._consumer.partitions_for_topic
        topics = {topic for topic in {tp.topic for tp in offsets} if existing(topic)}
        return {tp: committed for tp, committed in offsets.items() if tp.topic in topics}
