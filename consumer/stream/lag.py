"""Measures consumer lag, progress, and whether the broker answers."""

import asyncio
from collections.abc import Callable
from collections.abc import Set as AbstractSet

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from consumer.clock import Clock
from consumer.logs import get_logger
from consumer.stream.assignment import Assignment, partition_names
from consumer.stream.cluster_view import READ_COMMITTED, View
from consumer.stream.positions import LATEST

log = get_logger(__name__)

_CHECK_INTERVAL_SECONDS = 5.0


class LagWatch:
    """Consumer lag by the brokers' present end offsets, not by those of the last fetch.

    A partition whose leader does not answer keeps its last end. `is_paused` tells whether a
    partition waits on purpose, such as a retry topic's whose next record is not due.
    """

    def __init__(
        self,
        view: View,
        assignment: Assignment,
        is_paused: Callable[[TopicPartition], bool],
        clock: Clock,
    ) -> None:
        self._view = view
        self._assignment = assignment
        self._is_paused = is_paused
        self._clock = clock
        self._seen: dict[TopicPartition, int] = {}
        self._leaderless: set[TopicPartition] = set()
        self._moved_at = clock.monotonic()
        self.reachable = True
        """Whether a broker answered the last query."""
        self._answered_at = clock.monotonic()

    async def run(self) -> None:
        """Check every `_CHECK_INTERVAL_SECONDS`, until cancelled."""
        while True:
            await self.check()
            await asyncio.sleep(_CHECK_INTERVAL_SECONDS)

    async def check(self) -> None:
        """Query the end offsets of the assigned partitions, and note whether any has moved."""
        assignment = self._assignment
        generation = assignment.generation
        partitions = assignment.trackers.keys() | assignment.waiting
        try:
            ends = await self._view.offsets(dict.fromkeys(partitions, LATEST), READ_COMMITTED)
            # Without end offsets any other answer shows that a broker is reachable.
            answers = bool(ends) or await self._view.topics([]) is not None
        except KafkaError:
            return  # a refusal, which the next poll raises as well
        self._note_answer(answers=answers)
        if not answers:
            self._moved_at = self._clock.monotonic()  # unreachable, not stuck
            return
        if generation != assignment.generation:
            return
        assignment.ends.update(ends)
        self._note_leaderless(partitions - ends.keys())
        self._note_progress(ends.keys())

    def lag(self) -> dict[tuple[str, int], int]:
        """Number of each partition's records that are not settled."""
        trackers = self._assignment.trackers
        return {
            (tp.topic, tp.partition): tracker.lag(end)
            for tp, end in self._assignment.ends.items()
            if (tracker := trackers.get(tp)) is not None
        }

    @property
    def stalled_for(self) -> float:
        """Seconds since a partition last moved, while some lag without being paused."""
        return self._clock.monotonic() - self._moved_at

    @property
    def unreachable_for(self) -> float:
        """Seconds since a broker last answered; 0.0 while reachable."""
        return 0.0 if self.reachable else self._clock.monotonic() - self._answered_at

    @property
    def waiting(self) -> int:
        """Number of assigned partitions that are not read because no leader answers."""
        return len(self._leaderless)

    def _note_progress(self, answered: AbstractSet[TopicPartition]) -> None:
        ends, trackers = self._assignment.ends, self._assignment.trackers
        going = trackers.keys() & answered - self._assignment.waiting
        seen = {tp: trackers[tp].progress for tp in going}
        behind = [p for p, at in seen.items() if at < ends[p] and not self._is_paused(p)]
        if not behind or any(seen[tp] != self._seen.get(tp) for tp in behind):
            self._moved_at = self._clock.monotonic()
        self._seen = seen

    def _note_leaderless(self, leaderless: AbstractSet[TopicPartition]) -> None:
        back = self._leaderless & self._assignment.trackers.keys() - leaderless
        if leaderless - self._leaderless:
            log.warning(
                "partitions wait for a leader that answers", partitions=partition_names(leaderless)
            )
        elif back:
            log.info("partitions are read again", partitions=partition_names(back))
        self._leaderless = set(leaderless)

    def _note_answer(self, *, answers: bool) -> None:
        away_for = self.unreachable_for
        if answers:
            self._answered_at = self._clock.monotonic()
        if answers != self.reachable:
            self.reachable = answers
            if answers:
                log.info("the broker answers again", away_seconds=round(away_for, 1))
            else:
                log.error("the broker does not answer")
