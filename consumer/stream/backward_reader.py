"""Reads partitions backwards, newest first, without a group: in chunks that are fetched forwards."""

import asyncio
import random
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping
from math import inf
from typing import Any, Final, Generic, Self, TypeVar
from uuid import UUID

from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from consumer.clock import Clock
from consumer.logs import get_logger
from consumer.records.record import Record
from consumer.settings import KafkaSettings
from consumer.stream.backoff import pause_after
from consumer.stream.backward_merge import BackwardMerge, Chunk, Item, Place, Range, Reached
from consumer.stream.client import connection_options, kafka_timeout, translate_errors
from consumer.stream.cluster_client import ClusterClient
from consumer.stream.kafka_errors import REFUSALS
from consumer.stream.metadata import NO_TOPIC_ID
from consumer.stream.parsed_records import UnreadableBatchError
from consumer.stream.partition_log import PartitionLog
from consumer.stream.topics import describe_topics

log = get_logger(__name__)

ItemT = TypeVar("ItemT")
AnswerT = TypeVar("AnswerT")

STALL_TIMEOUT_SECONDS: Final = 30.0
"""For each answer of the broker, with all repetitions."""
KEPT_BYTES: Final = 32 * 1024 * 1024
"""Bytes of the records that items were taken from and that are kept at once, of all partitions
together. What exceeds them is dropped, and read again when its turn comes."""
_KEPT_ITEMS: Final = 50_000
_FETCH_WAIT_SECONDS: Final = 0.5
_TIME_SLICE_SECONDS: Final = 0.005
"""Work after which other tasks get their turn."""


class PartitionsReader:
    """Connections to the partitions of some topics."""

    def __init__(self, settings: KafkaSettings, topics: Collection[str], clock: Clock) -> None:
        self.logs: dict[Place, PartitionLog] = {}
        """Empty if no topic exists."""
        self.topic_ids: dict[str, UUID] = {}
        """The id of each topic; `NO_TOPIC_ID` before Kafka 2.8."""
        self._settings = settings
        self._topics = topics
        self._clock = clock
        self._client = ClusterClient(**connection_options(settings))

    async def __aenter__(self) -> Self:
        """Find the partitions. Raises `HookstreamError` if no broker answers or it refuses."""
        try:
            async with kafka_timeout(self._settings, STALL_TIMEOUT_SECONDS):
                await self._client.bootstrap()
                found = await describe_topics(self._client, self._topics)
            for name, topic in found.items():
                for part in topic["partitions"]:
                    place = name, part["partition"]
                    self.logs[place] = PartitionLog(self._client, *place)
            for name in found:
                first = min((place for place in self.logs if place[0] == name), default=None)
                self.topic_ids[name] = (
                    await self.ask(self.logs[first].find) if first else NO_TOPIC_ID
                )
        except BaseException:
            await self._client.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    def keep(self, places: Collection[Place]) -> None:
        """Read only these partitions, of those that there are."""
        self.logs = {place: log for place, log in self.logs.items() if place in places}

    async def ranges(self, since: int | None, until: int | None) -> dict[Place, Range]:
        """The offsets of each partition from `since` to before `until` (epoch milliseconds)."""
        found = await asyncio.gather(
            *(self._range(log, since, until) for log in self.logs.values())
        )
        return dict(zip(self.logs, found, strict=True))

    async def ask(self, question: Callable[[], Awaitable[AnswerT]]) -> AnswerT:
        """The answer to `question`, asked again while another try may help.

        Raises:
            HookstreamError: a refusal, or no answer within `STALL_TIMEOUT_SECONDS`.
            UnreadableBatchError, OffsetOutOfRangeError: as the question raises them.
        """
        began, failures = self._clock.monotonic(), 0
        while True:
            try:
                async with asyncio.timeout(STALL_TIMEOUT_SECONDS):
                    return await question()
            except (UnreadableBatchError, OffsetOutOfRangeError):
                raise
            except (KafkaError, TimeoutError) as error:
                waited = self._clock.monotonic() - began
                if isinstance(error, REFUSALS) or waited > STALL_TIMEOUT_SECONDS:
                    async with kafka_timeout(self._settings, STALL_TIMEOUT_SECONDS):
                        raise
                log.debug("a partition is asked again", error=repr(error))
            failures += 1
            await asyncio.sleep(pause_after(failures, random.random()))  # noqa: S311  # jitter

    async def _range(self, log: PartitionLog, since: int | None, until: int | None) -> Range:
        start, end = await self.ask(log.start), await self.ask(log.stable_end)
        low, high = start, end
        if since is not None:
            found = await self.ask(lambda: log.offset_at(since))
            low = end if found is None else max(start, min(found, end))
        if until is not None:
            found = await self.ask(lambda: log.offset_at(until))
            high = end if found is None else min(found, end)
        if low > start:
            reached = Reached.SINCE
        else:
            reached = Reached.LOG_START if start else Reached.BEGINNING
        return Range(min(low, high), high, reached)


class BackwardReader(Generic[ItemT]):
    """Reads ranges of partitions backwards, each committed record once, and gives out what `take`
    makes of it, newest first (see `BackwardMerge`).
    """

    def __init__(
        self,
        partitions: PartitionsReader,
        ranges: Mapping[Place, Range],
        take: Callable[[Record], ItemT | None],
        clock: Clock,
        *,
        wanted_items: int | None = None,
    ) -> None:
        """`take` returns None for a record that is not wanted. It may get a record twice if there
        are more items than may be kept. `wanted_items`: no more than these will be asked for.
        """
        self.records = 0
        """Records that were read, wanted or not."""
        self.unreadable: dict[Place, tuple[int, int]] = {}
        """The first and the last offset that could not be read, of partitions that have such."""
        self.merge: BackwardMerge[ItemT] = BackwardMerge(ranges)
        self._partitions = partitions
        self._take = take
        self._clock = clock
        self._max_items = min(wanted_items or _KEPT_ITEMS, _KEPT_ITEMS)
        self._max_bytes = KEPT_BYTES // max(1, len(ranges))

    async def read(self) -> AsyncGenerator[Item[ItemT] | None, None]:
        """Yield the items, and None after each chunk that was read.

        Raises:
            HookstreamError: the broker does not answer, or refuses.
        """
        while True:
            while (wanted := self.merge.wanted()) is not None:
                place, low, high = wanted
                self.merge.add(place, await self._chunk(place, low, high))
                yield None
            item = self.merge.pop()
            if item is None:
                return
            yield item

    async def _chunk(self, place: Place, low: int, high: int) -> Chunk[ItemT]:
        reading = _ChunkReading(place, low, high, self._take, self._max_items, self._max_bytes)
        log, at_log_start = self._partitions.logs[place], False
        at = low
        while at < high:
            try:
                fetched = await self._partitions.ask(lambda at=at: log.fetch(at, _FETCH_WAIT_SECONDS))  # type: ignore[misc]
                if fetched is None:
                    continue
                reading.size += fetched.size
                slice_end = self._clock.monotonic() + _TIME_SLICE_SECONDS
                for record in fetched:
                    if record.offset >= high:
                        break
                    reading.take(record)
                    if self._clock.monotonic() >= slice_end:
                        await asyncio.sleep(0)
                        slice_end = self._clock.monotonic() + _TIME_SLICE_SECONDS
                at = fetched.next_offset
            except OffsetOutOfRangeError:
                start = await self._partitions.ask(log.start)
                at, at_log_start = (start if at < start else high), True
                reading.low = min(max(reading.low, at), high)
            except UnreadableBatchError as error:
                _, last = self.unreadable.get(place, (0, high - 1))
                self.unreadable[place] = error.offset, last
                break
        self.records += reading.records
        return reading.chunk(at_log_start=at_log_start)


class _ChunkReading(Generic[ItemT]):
    """The items of one chunk, as far as they may be kept: the newest."""

    def __init__(
        self,
        place: Place,
        low: int,
        high: int,
        take: Callable[[Record], ItemT | None],
        max_items: int,
        max_bytes: int,
    ) -> None:
        self.low = low
        self.size = 0
        self.records = 0
        """Records from `low` on."""
        self._place = place
        self._high = high
        self._take = take
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._oldest = inf
        self._found: deque[tuple[int, Item[ItemT]]] = deque()
        """Each with the number of records before it."""
        self._kept_bytes = 0
        self._dropped = 0

    def take(self, record: Record) -> None:
        """Take in the next record."""
        value = self._take(record)
        if record.timestamp < self._oldest:
            self._oldest = record.timestamp
        if value is not None:
            size = len(record.value or b"")
            item = Item(self._place, record.offset, record.timestamp, size, value)
            self._found.append((self.records, item))
            self._kept_bytes += size
            while len(self._found) > 1 and (
                len(self._found) > self._max_items or self._kept_bytes > self._max_bytes
            ):
                self._drop()
        self.records += 1

    def chunk(self, *, at_log_start: bool) -> Chunk[ItemT]:
        """What was read."""
        self.records -= self._dropped
        found = [item for _, item in self._found]
        return Chunk(self.low, found, self._oldest, self.size, at_log_start)

    def _drop(self) -> None:
        """Drop the oldest item, and leave everything before the next one to the next chunk."""
        _, dropped = self._found.popleft()
        self._kept_bytes -= dropped.size
        self._dropped, first = self._found[0]
        self.low = first.offset
        self._oldest = first.timestamp
