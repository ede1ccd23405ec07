"""Looks at the broker from time to time: is it there, how far behind are we, do we move?"""

import asyncio
from collections.abc import Callable, Collection
from collections.abc import Set as AbstractSet

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from consumer.clock import Clock
from consumer.logs import get_logger
from consumer.stream.assignment import Assignment
from consumer.stream.cluster_view import READ_COMMITTED, View
from consumer.stream.positions import LATEST

log = get_logger(__name__)

_INTERVAL = 5.0


class LagWatch:
    """Lag by the partitions' ends as the broker tells them, not as they were last fetched.

    A partition whose leader does not answer keeps the end that was seen last, and is not waited
    for. `on_hold`: whether a partition waits on purpose, as a retry topic's that is not due.
    """

    def __init__(
        self,
        view: View,
        assignment: Assignment,
        on_hold: Callable[[TopicPartition], bool],
        clock: Clock,
    ) -> None:
        self._view = view
        self._assignment = assignment
        self._on_hold = on_hold
        self._clock = clock
        self._seen: dict[TopicPartition, int] = {}
        self._away: set[TopicPartition] = set()
        self._moved_at = clock.monotonic()
        self.reachable = True
        """Whether the broker answered the last time."""
        self._answered_at = clock.monotonic()

    async def run(self) -> None:
        """Look every few seconds, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(_INTERVAL)

    async def look(self) -> None:
        """Ask for the ends of the assigned partitions, and note whether anything moved."""
        assignment = self._assignment
        generation = assignment.generation
        partitions = assignment.read.keys() | assignment.waiting
        try:
            ends = await self._view.offsets(dict.fromkeys(partitions, LATEST), READ_COMMITTED)
            # Without an end any answer shows that the broker is there.
            answers = bool(ends) or await self._view.topics([]) is not None
        except KafkaError:
            return  # refused, which the next poll is told too
        self._note_answer(answers=answers)
        if not answers:
            self._moved_at = self._clock.monotonic()  # who cannot move is not stuck
            return
        if generation != assignment.generation:
            return
        assignment.ends.update(ends)
        self._note_away(partitions - ends.keys())
        self._note_progress(ends.keys())

    def lag(self) -> dict[tuple[str, int], int]:
        """Records between each assigned partition's settled prefix and its end."""
        committable = self._assignment.committable
        return {
            (tp.topic, tp.partition): max(0, end - settled)
            for tp, end in self._assignment.ends.items()
            if (settled := committable(tp)) is not None
        }

    @property
    def stalled_for(self) -> float:
        """Seconds since a partition last moved, while some are behind that should not be."""
        return self._clock.monotonic() - self._moved_at

    @property
    def unreachable_for(self) -> float:
        """Seconds since a broker last answered; 0.0 while one does."""
        return 0.0 if self.reachable else self._clock.monotonic() - self._answered_at

    @property
    def waiting(self) -> int:
        """Assigned partitions that no leader answers for, so they are not read."""
        return len(self._away)

    def _note_progress(self, answered: AbstractSet[TopicPartition]) -> None:
        ends, read = self._assignment.ends, self._assignment.read
        going = read.keys() & answered - self._assignment.waiting
        seen = {tp: read[tp].committable for tp in going}
        behind = [p for p, at in seen.items() if at < ends[p] and not self._on_hold(p)]
        if not behind or any(seen[tp] != self._seen.get(tp) for tp in behind):
            self._moved_at = self._clock.monotonic()
        self._seen = seen

    def _note_away(self, away: AbstractSet[TopicPartition]) -> None:
        back = self._away & self._assignment.read.keys() - away
        if away - self._away:
            log.warning("partitions wait for a leader that answers", partitions=_names(away))
        elif back:
            log.info("partitions are read again", partitions=_names(back))
        self._away = set(away)

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


def _names(partitions: Collection[TopicPartition]) -> list[str]:
    return sorted(f"{tp.topic}/{tp.partition}" for tp in partitions)
