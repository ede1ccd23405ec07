"""Commits the settled prefix of each partition, one commit at a time and each bounded."""

import asyncio

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, KafkaError

from consumer.clock import Clock
from consumer.logs import get_logger
from consumer.stream.assignment import Assignment
from consumer.stream.positions import Committed
from consumer.stream.tasks import within

log = get_logger(__name__)

LATE_COMMIT_WINDOW_SECONDS = 60.0
"""Seconds in which a commit that was given up may still reach the broker: longer than aiokafka
waits for an answer."""


class Commits:
    """The group's commits of one member."""

    def __init__(self, consumer: AIOKafkaConsumer, assignment: Assignment, clock: Clock) -> None:
        self._consumer = consumer
        self._assignment = assignment
        self._clock = clock
        self._known: dict[TopicPartition, Committed] = {}
        """What the group has committed."""
        self._one_at_a_time = asyncio.Lock()
        self._recommit_all_until = clock.monotonic()

    def found(self, tp: TopicPartition, committed: Committed) -> None:
        """The group had committed this before."""
        self._known[tp] = committed

    def forget(self, tp: TopicPartition) -> None:
        """Another member may commit from now on."""
        self._known.pop(tp, None)

    async def commit(self, patience: float) -> None:
        """Commit every partition's settled prefix that moved, within `patience` seconds; a failure
        is tried again later.

        A commit that got no answer is still on its way, and one over a new connection can overtake
        it. So for a while after a failure everything is committed again, moved or not.
        """
        async with self._one_at_a_time:
            astray = self._clock.monotonic() < self._recommit_all_until
            moved = {
                tp: committed
                for tp, committed in self._committable().items()
                if astray or committed != self._known.get(tp)
            }
            if not moved:
                return
            offsets = {
                tp: (at.offset, at.note.text() if at.note else "") for tp, at in moved.items()
            }
            try:
                async with within(patience):
                    await self._consumer.commit(offsets)
            except (KafkaError, TimeoutError) as error:
                level = log.info if isinstance(error, CommitFailedError) else log.warning
                level("offsets not committed; tried again", error=type(error).__name__)
                self._recommit_all_until = self._clock.monotonic() + LATE_COMMIT_WINDOW_SECONDS
                return
            self._known.update(moved)

    def _committable(self) -> dict[TopicPartition, Committed]:
        """All that may be committed now. A topic that was deleted is left out: the broker would
        have the commit repeated until it times out, and with it those of the others.
        """
        read, notes = self._assignment.read, self._assignment.notes
        there = {t for t in {tp.topic for tp in read} if self._consumer.partitions_for_topic(t)}
        return {
            tp: Committed(partition.committable, notes[tp])
            for tp, partition in read.items()
            if tp.topic in there
        }
