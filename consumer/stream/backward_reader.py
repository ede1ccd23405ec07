"""Reads partitions backwards, newest first, without a group: in chunks, each of them forwards."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping
from math import inf
from typing import Final, Generic, TypeVar

from aiokafka.errors import OffsetOutOfRangeError

from consumer.clock import Clock
from consumer.records.record import Record
from consumer.stream.backward_merge import (
    CHUNK_BYTES,
    FIRST_CHUNK_OFFSETS,
    BackwardMerge,
    Chunk,
    Item,
    Place,
    Span,
)
from consumer.stream.parsed_records import UnreadableBatchError
from consumer.stream.partitions_reader import PartitionsReader
from consumer.stream.skimming import Skim

ItemT = TypeVar("ItemT")

KEPT_BYTES: Final = 32 * 1024 * 1024
"""Bytes of the records that items were taken from and that are kept at once, of all partitions
together. What exceeds them is dropped, and read again when its turn comes."""
_KEPT_ITEMS: Final = 50_000
_FETCH_WAIT_SECONDS: Final = 0.5
_TIME_SLICE_SECONDS: Final = 0.005
"""Work after which other tasks get their turn."""
_CLOCK_EVERY: Final = 64
"""Records between two looks at the clock."""


class BackwardReader(Generic[ItemT]):
    """Reads spans of partitions backwards, each committed record once, and gives out what `take`
    makes of it, newest first (see `BackwardMerge`).
    """

    def __init__(
        self,
        partitions: PartitionsReader,
        spans: Mapping[Place, Span],
        take: Callable[[Record], ItemT | None],
        clock: Clock,
        *,
        may_match: Callable[[bytes], bool] | None = None,
        wanted_items: int | None = None,
        first_offsets: int = FIRST_CHUNK_OFFSETS,
        chunk_bytes: int = CHUNK_BYTES,
    ) -> None:
        """`take` returns None for a record that is not wanted. It may get a record twice if there
        are more items than may be kept. `may_match`: whether `take` may want a record in the bytes
        of a batch; if not, its records are counted only. `wanted_items`: no more than these will be
        asked for. `first_offsets`, `chunk_bytes`: see `BackwardMerge`.
        """
        self.records = 0
        """Records that were read, wanted or not."""
        self.unreadable: dict[Place, tuple[int, int]] = {}
        """The first and the last offset that could not be read, of partitions that have such."""
        if may_match is None and wanted_items is not None:  # each record is parsed
            first_offsets = max(1, min(first_offsets, wanted_items))
        self.merge: BackwardMerge[ItemT] = BackwardMerge(spans, first_offsets, chunk_bytes)
        self._partitions = partitions
        self._take = take
        self._clock = clock
        self._may_match = may_match
        self._max_items = min(wanted_items or _KEPT_ITEMS, _KEPT_ITEMS)
        self._max_bytes = KEPT_BYTES // max(1, len(spans))

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
        reading = _ChunkReading(
            place, low, high, self._take, max_items=self._max_items, max_bytes=self._max_bytes
        )
        log, at_log_start = self._partitions.logs[place], False
        skim = Skim(self._may_match, reading.pass_over, low, high) if self._may_match else None
        at = low
        while at < high:
            try:
                fetched = await self._partitions.ask(log.fetch, at, _FETCH_WAIT_SECONDS, skim)
                if fetched is None:
                    continue
                reading.size += fetched.size
                slice_end = self._clock.monotonic() + _TIME_SLICE_SECONDS
                for record in fetched:
                    if record.offset >= high:
                        break
                    reading.take(record)
                    if not reading.records % _CLOCK_EVERY and self._clock.monotonic() >= slice_end:
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
        chunk = reading.chunk(at_log_start=at_log_start)
        self.records += reading.records
        return chunk


class _ChunkReading(Generic[ItemT]):
    """The items of one chunk, as far as they may be kept: the newest."""

    def __init__(
        self,
        place: Place,
        low: int,
        high: int,
        take: Callable[[Record], ItemT | None],
        *,
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
        value, timestamp = self._take(record), record.timestamp
        self._oldest = min(self._oldest, timestamp)
        if value is not None:
            size = len(record.value or b"")
            found = self._found
            found.append((self.records, Item(self._place, record.offset, timestamp, size, value)))
            self._kept_bytes += size
            while len(found) > self._max_items or (
                self._kept_bytes > self._max_bytes and len(found) > 1
            ):
                self._drop()
        self.records += 1

    def pass_over(self, records: int, oldest: int) -> None:
        """Count records that are not wanted; `oldest`: the timestamp of the oldest."""
        self.records += records
        self._oldest = min(self._oldest, oldest)

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
