"""Takes records from Kafka, keeps the partitions' trackers, and commits what is settled."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import (
    AuthenticationFailedError,
    CommitFailedError,
    GroupAuthorizationFailedError,
    KafkaError,
    TopicAuthorizationFailedError,
)

from consumer.clock import Clock
from consumer.errors import HookstreamError
from consumer.events.decode import Record, UndecodableError
from consumer.logs import get_logger
from consumer.stream.lanes import TICK, Lane
from consumer.stream.passport import read_passport
from consumer.stream.tracker import Partition, Pending

log = get_logger(__name__)

COMMIT_INTERVAL = 1.0
_COMMIT_TIMEOUT = 5.0
_REFUSALS = (
    AuthenticationFailedError,
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
)
_POLL = 0.2
"""Seconds that a poll waits for records; also how often a waiting lane's clock is looked at."""
_MAX_RECORDS = 500
DRAIN_BUDGET = 5.0
"""Seconds that a revocation waits for what is under way, before it parks the rest."""
_GLANCE = 0.01
"""Seconds between two looks whether all is settled."""
PARK_BUDGET = 5.0
"""Seconds for the broker to acknowledge what a revocation parked."""


class Handler(Protocol):
    """What intake feeds."""

    async def room(self) -> None:
        """Wait until more records can be taken."""
        ...

    @property
    def full(self) -> bool:
        """Whether `room` would wait."""
        ...

    def take(self, record: Record, partition: Partition) -> None:
        """Take one record in: `partition` must have received or skipped it on return."""
        ...

    def park(self, which: Callable[[Pending], bool]) -> None:
        """Hand over what is still under way for the records that are `which`."""
        ...


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
        topics: Sequence[str],
        lanes: Mapping[str, Lane],
        clock: Clock,
    ) -> None:
        """`lanes`: the retry topics among `topics`."""
        self._consumer = consumer
        self._handler = handler
        self._topics = topics
        self._lanes = lanes
        self._clock = clock
        self._partitions: dict[TopicPartition, Partition] = {}
        self._waiting: dict[TopicPartition, tuple[int, float]] = {}
        self._committed: dict[TopicPartition, int] = {}
        self._committing = asyncio.Lock()
        self._stopping = asyncio.Event()
        self.joined = False
        """Whether the group has given this member its share, be it empty."""
        self._moved_at = clock.monotonic()

    async def start(self) -> None:
        """Join the group."""
        self._consumer.subscribe(list(self._topics), listener=self)
        await self._consumer.start()

    async def run(self) -> None:
        """Take records until `stop_taking`; raises what the broker will never forgive."""
        while not self._stopping.is_set():
            self._moved_at = self._clock.monotonic()
            if self._handler.full:
                await self._handler.room()
                continue
            self._resume_due()
            batches = await self._poll()
            for place, records in batches.items():
                await self._take(place, records)

    async def commit_regularly(self) -> None:
        """Commit what is settled once each interval, until cancelled."""
        while True:
            await asyncio.sleep(COMMIT_INTERVAL)
            await self.commit()

    def stop_taking(self) -> None:
        """Take no more records; what was taken goes on."""
        self._stopping.set()

    async def close(self) -> None:
        """Commit, leave the group, close. Each step is bounded."""
        await self.commit()
        try:
            async with asyncio.timeout(_COMMIT_TIMEOUT):
                await self._consumer.stop()
        except TimeoutError:
            log.warning("could not leave the group in time; it will notice by itself")

    async def commit(self) -> None:
        """Commit every partition's settled prefix that moved; a failure is tried again later."""
        async with self._committing:
            moved = {
                place: offset
                for place, partition in self._partitions.items()
                if (offset := partition.committable) is not None
                and offset != self._committed.get(place)
            }
            if not moved:
                return
            try:
                async with asyncio.timeout(_COMMIT_TIMEOUT):
                    await self._consumer.commit(moved)
            except (KafkaError, TimeoutError) as error:
                level = log.info if isinstance(error, CommitFailedError) else log.warning
                level("offsets not committed; tried again", error=type(error).__name__)
                return
            self._committed.update(moved)

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Nothing to prepare: trackers come with the first record."""
        self.joined = True
        log.info("partitions assigned", partitions=_names(assigned))

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Let what is under way finish, park the rest, commit, and forget the partitions."""
        leaving = {place: p for place in revoked if (p := self._partitions.get(place))}
        try:
            if not await self.settled(DRAIN_BUDGET, leaving.values()):
                gone = set(leaving.values())
                self._handler.park(lambda pending: pending.partition in gone)
                await self.settled(PARK_BUDGET, gone)
            await self.commit()
        finally:
            # aiokafka swallows what a listener raises: the partitions must go all the same.
            for place, partition in leaving.items():
                partition.revoked = True
                del self._partitions[place]
            for place in revoked:
                self._waiting.pop(place, None)
                self._committed.pop(place, None)
        if revoked:
            log.info("partitions revoked", partitions=_names(revoked))

    def lag(self) -> dict[tuple[str, int], int]:
        """Records between each partition's settled prefix and its end."""
        lags = {}
        for place, partition in self._partitions.items():
            end, settled = self._consumer.highwater(place), partition.committable
            if end is not None and settled is not None:
                lags[place.topic, place.partition] = max(0, end - settled)
        return lags

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

    async def _poll(self) -> Mapping[TopicPartition, Sequence[Any]]:
        try:
            batches: Mapping[TopicPartition, Sequence[Any]] = await self._consumer.getmany(
                timeout_ms=int(_POLL * 1000), max_records=_MAX_RECORDS
            )
        except _REFUSALS as error:
            raise HookstreamError(
                f"Kafka refuses: {error!r}: ask for the right, or set kafka.*"
            ) from error
        except KafkaError as error:
            log.warning("poll failed; positions are set back", error=repr(error))
            await self._rewind()
            return {}
        return batches

    async def _rewind(self) -> None:
        """After an error in a poll: go back to what was handed over last.

        Records of other partitions that the same poll had drained are lost otherwise, their
        positions already moved.
        """
        for place in self._consumer.assignment():
            partition = self._partitions.get(place)
            offset = partition.next_offset if partition is not None else None
            if offset is None:
                offset = await self._consumer.committed(place)
            if offset is not None:
                self._consumer.seek(place, offset)
            else:
                await self._consumer.seek_to_beginning(place)

    async def _take(self, place: TopicPartition, records: Sequence[Record]) -> None:
        partition = self._partitions.get(place)
        if partition is None:
            partition = self._partitions[place] = Partition(place.topic, place.partition)
        lane = self._lanes.get(place.topic)
        handler = self._handler
        for record in records:
            while handler.full and not partition.revoked and not self._stopping.is_set():
                await handler.room()
            if partition.revoked or self._stopping.is_set():
                return
            if lane is not None and self._is_early(place, record, lane):
                return
            try:
                handler.take(record, partition)
            except Exception as bug:  # noqa: BLE001  # whatever it is, the record stays
                # Never settled, so never committed past: a bug must lose nothing.
                partition.receive(record.offset, record, 1, self._clock.monotonic())
                log.error("a record could not be processed", cause=bug, **_place(record))

    def _is_early(self, place: TopicPartition, record: Record, lane: Lane) -> bool:
        """Whether `record` is not due: then its lane, and only its lane, waits for it."""
        now = self._clock.monotonic()
        offset, due_at = self._waiting.get(place, (-1, 0.0))
        if offset != record.offset:
            due_at = now + self._due_in(record, lane)
        if due_at <= now:
            self._waiting.pop(place, None)
            return False
        self._consumer.pause(place)
        self._consumer.seek(place, record.offset)
        # One monotonic due time per record: a clock that is set does not move it.
        self._waiting[place] = (record.offset, max(due_at, now + TICK))
        return True

    def _due_in(self, record: Record, lane: Lane) -> float:
        try:
            not_before = read_passport(record.headers).not_before
        except UndecodableError:
            return 0.0
        return lane.wait(
            parked_at=record.timestamp / 1000, not_before=not_before, now=self._clock.now()
        )

    def _resume_due(self) -> None:
        now = self._clock.monotonic()
        due = [
            place
            for place, (_, due_at) in self._waiting.items()
            if due_at <= now and place in self._consumer.paused()
        ]
        if due:
            self._consumer.resume(*due)


def _names(places: Collection[TopicPartition]) -> list[str]:
    return sorted(f"{place.topic}/{place.partition}" for place in places)


def _place(record: Record) -> dict[str, object]:
    return {"topic": record.topic, "partition": record.partition, "offset": record.offset}
