"""A Kafka consumer in memory, with those habits of aiokafka's that cost others their data."""

import asyncio
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError, OffsetOutOfRangeError

from consumer.stream.assignor import CooperativeAssignor
from support.fakes import FakeRecord


class FakeCoordinator:
    """The private part of aiokafka's coordinator that a membership looks at."""

    def __init__(self) -> None:
        self.generation = 7
        """Less than 0 once this member is expelled from the group."""
        self.member_id = "member"
        self.coordinator_id: int | None = 0
        self.beats = True
        """The result of the next heartbeats."""
        self.rejoins = 0

    def request_rejoin(self) -> None:
        """Count it: tests rebalance by themselves."""
        self.rejoins += 1

    async def _do_heartbeat(self) -> bool:
        await asyncio.sleep(0)
        return self.beats


class FakeConsumer:
    """One group member; `tests/contract/test_consumer.py` holds it to aiokafka's.

    Nothing is waited for but the end of a rebalance.
    """

    def __init__(self) -> None:
        self.logs: dict[TopicPartition, list[FakeRecord]] = {}
        self.starts: dict[TopicPartition, int] = {}
        """The first offsets of logs that do not begin at offset 0."""
        self.deleted: set[str] = set()
        """Topics that do not exist any more."""
        self.corrupt: dict[TopicPartition, BaseException] = {}
        """The exception that a poll raises when it comes to a partition."""
        self.unreachable: set[TopicPartition] = set()
        """Partitions whose leader does not answer a fetch."""
        self.offsets: dict[TopicPartition, int] = {}
        """The group's committed offsets."""
        self.metadata: dict[TopicPartition, str] = {}
        """The metadata that was committed with them."""
        self.commits: list[dict[TopicPartition, int]] = []
        """Every commit that was tried, in order."""
        self.commit_error: BaseException | None = None
        self.commits_may_end = asyncio.Event()
        self.commits_may_end.set()
        self.committing = 0
        self.most_committing = 0
        """How many commits were under way at once, at most."""
        self.positions: dict[TopicPartition, int] = {}
        self.given: Counter[tuple[TopicPartition, int]] = Counter()
        """How often each record was handed out."""
        self.polls = 0
        self.polls_held = 0
        """How many polls met a rebalance and waited for its end."""
        self.stopped = False
        self.subscribed: list[str] = []
        self._paused: set[TopicPartition] = set()
        self._listener: ConsumerRebalanceListener
        self._coordinator = FakeCoordinator()
        self.assignor = CooperativeAssignor()
        self.is_urgent = False
        self._group_id = "group"
        self.steady = asyncio.Event()
        """Cleared while a rebalance goes on: a poll waits for its end."""
        self.steady.set()

    def append(self, place: TopicPartition, *records: FakeRecord) -> None:
        """Write records; each gets the next offset, or its own if that is larger."""
        log = self.logs.setdefault(place, [])
        for record in records:
            record.topic, record.partition = place.topic, place.partition
            record.offset = max(record.offset, log[-1].offset + 1 if log else 0)
            log.append(record)

    async def rebalance(self, *assigned: TopicPartition) -> None:
        """Begin a rebalance, and assign `assigned`."""
        await self.begin_rebalance()
        await self.end_rebalance(*assigned)

    async def begin_rebalance(self) -> None:
        """Call the listener, as before this member joins."""
        self.steady.clear()
        await self._listener.on_partitions_revoked(set(self.positions))

    async def end_rebalance(self, *assigned: TopicPartition) -> None:
        """Assign `assigned`."""
        self._paused.clear()
        self.positions = dict.fromkeys(assigned, 0)
        await self._listener.on_partitions_assigned(set(assigned))
        self.steady.set()

    # What aiokafka has.

    def subscribe(self, topics: Sequence[str], *, listener: ConsumerRebalanceListener) -> None:
        """Subscribe; the old assignment ends at once, and can no longer be committed."""
        self.subscribed = list(topics)
        self._listener = listener
        self.positions = {}

    async def topics(self) -> set[str]:
        """All topics of the cluster."""
        return {place.topic for place in self.logs}

    async def start(self) -> None:
        """Open nothing."""

    async def stop(self) -> None:
        """Leave the group; no listener is called."""
        self.stopped = True

    def assignment(self) -> set[TopicPartition]:
        """A copy of the assignment."""
        return set(self.positions)

    def partitions_for_topic(self, topic: str) -> set[int]:
        """The partitions that have a log or are assigned."""
        known = {place.partition for place in [*self.logs, *self.positions] if place.topic == topic}
        return known if topic not in self.deleted else set()

    def start_of(self, place: TopicPartition) -> int:
        """The first offset of a log."""
        return self.starts.get(place, 0)

    def end_of(self, place: TopicPartition) -> int:
        """The offset behind the last record of a log."""
        log = self.logs.get(place)
        return log[-1].offset + 1 if log else self.start_of(place)

    async def getmany(
        self, *places: TopicPartition, timeout_ms: int, max_records: int
    ) -> Mapping[TopicPartition, list[FakeRecord]]:
        """Hand out records and move their positions; after an error they are lost."""
        assert timeout_ms >= 0
        self.polls += 1
        await asyncio.sleep(0)
        if not self.steady.is_set():
            self.polls_held += 1
            await self.steady.wait()
        batches: dict[TopicPartition, list[FakeRecord]] = {}
        for place in self.positions:
            if place in self._paused or (places and place not in places):
                continue
            if place in self.unreachable:
                continue
            if place in self.corrupt:
                raise self.corrupt[place]
            if not self.start_of(place) <= self.positions[place] <= self.end_of(place):
                if batches:
                    return batches
                raise OffsetOutOfRangeError({place: self.positions[place]})
            log = self.logs.get(place, [])
            first = bisect_left(log, self.positions[place], key=lambda record: record.offset)
            records = log[first : first + max_records]
            if records:
                max_records -= len(records)
                self.positions[place] = records[-1].offset + 1
                batches[place] = records
                self.given.update((place, record.offset) for record in records)
        return batches

    def pause(self, *places: TopicPartition) -> None:
        """Fetch no more records of these partitions."""
        self._require(places)
        self._paused.update(places)

    def resume(self, *places: TopicPartition) -> None:
        """Fetch records of these partitions again."""
        self._require(places)
        self._paused.difference_update(places)

    def paused(self) -> set[TopicPartition]:
        """A copy of the paused partitions."""
        return set(self._paused)

    def seek(self, place: TopicPartition, offset: int) -> None:
        """Set the offset at which the next poll begins."""
        self._require([place])
        self.positions[place] = offset

    async def position(self, place: TopicPartition) -> int:
        """The offset at which the next poll begins."""
        self._require([place])
        return self.positions[place]

    async def commit(self, committed: Mapping[TopicPartition, tuple[int, str]]) -> None:
        """Commit all or nothing, also for partitions that are not assigned any more."""
        offsets = {place: offset for place, (offset, _) in committed.items()}
        self.commits.append(offsets)
        self.committing += 1
        self.most_committing = max(self.most_committing, self.committing)
        try:
            await self.commits_may_end.wait()
            if self.commit_error is not None:
                raise self.commit_error
            self.offsets.update(offsets)
            self.metadata.update({place: text for place, (_, text) in committed.items()})
        finally:
            self.committing -= 1

    def _require(self, places: Collection[TopicPartition]) -> None:
        if not self.positions.keys() >= set(places):
            raise IllegalStateError(f"not assigned: {places}")


def kafka_error() -> KafkaError:
    """An error of the broker that may pass."""
    return KafkaError("the batch is corrupt")
