"""Looks at the broker from time to time: is it there, how far behind are we, do we move?"""

import asyncio
from collections.abc import Callable, Collection

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from consumer.clock import Clock
from consumer.logs import get_logger
from consumer.stream.tasks import within

log = get_logger(__name__)

_INTERVAL = 5.0
_TIMEOUT = 5.0


class LagWatch:
    """Lag by the partitions' ends as the broker tells them, not as they were last fetched.

    `settled`: the offset that a partition may be committed at, None where it received nothing.
    `on_hold`: whether a partition waits on purpose, as a retry lane whose records are not due.
    """

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        settled: Callable[[TopicPartition], int | None],
        on_hold: Callable[[TopicPartition], bool],
        clock: Clock,
    ) -> None:
        self._consumer = consumer
        self._settled = settled
        self._on_hold = on_hold
        self._clock = clock
        self._positions: dict[TopicPartition, int] = {}
        self._ends: dict[TopicPartition, int] = {}
        self._seen: dict[TopicPartition, int] = {}
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
        places = self._consumer.assignment()
        try:
            async with within(_TIMEOUT):
                ends = await self._ask(places)
        except (KafkaError, TimeoutError) as error:
            self._reach(reached=False, error=repr(error))
            self._moved_at = self._clock.monotonic()  # who cannot move is not stuck
            return
        self._reach(reached=True)
        try:
            async with within(_TIMEOUT):
                positions = {place: await self._consumer.position(place) for place in places}
        except (KafkaError, TimeoutError):
            return  # reassigned meanwhile, or refused, which the next poll is told too
        self._ends, self._positions = ends, positions
        self._note_progress()

    def lag(self) -> dict[tuple[str, int], int]:
        """Records between each assigned partition's settled prefix and its end."""
        return {
            (place.topic, place.partition): max(0, end - self._reached(place))
            for place, end in self._ends.items()
        }

    @property
    def stalled_for(self) -> float:
        """Seconds since a partition last moved, while some are behind that should not be."""
        return self._clock.monotonic() - self._moved_at

    @property
    def unreachable_for(self) -> float:
        """Seconds since a broker last answered; 0.0 while one does."""
        return 0.0 if self.reachable else self._clock.monotonic() - self._answered_at

    async def _ask(self, places: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """The partitions' ends; without partitions any answer shows that the broker is there."""
        if not places:
            await self._consumer.topics()
            return {}
        ends: dict[TopicPartition, int] = await self._consumer.end_offsets(list(places))
        return ends

    def _reached(self, place: TopicPartition) -> int:
        """The settled prefix; where nothing was received, what will be read next."""
        settled = self._settled(place)
        return settled if settled is not None else self._positions[place]

    def _note_progress(self) -> None:
        seen = {place: self._reached(place) for place in self._ends}
        behind = [p for p, at in seen.items() if at < self._ends[p] and not self._on_hold(p)]
        if not behind or any(seen[place] != self._seen.get(place) for place in behind):
            self._moved_at = self._clock.monotonic()
        self._seen = seen

    def _reach(self, *, reached: bool, error: str = "") -> None:
        away_for = self.unreachable_for
        if reached:
            self._answered_at = self._clock.monotonic()
        if reached != self.reachable:
            self.reachable = reached
            if reached:
                log.info("the broker answers again", away_seconds=round(away_for, 1))
            else:
                log.error("the broker does not answer", error=error)
