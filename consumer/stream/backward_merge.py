"""Merges partitions that are read backwards, newest first. It is pure."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf
from typing import Final, Generic, NamedTuple, TypeVar

ItemT = TypeVar("ItemT")

Place = tuple[str, int]
"""Topic and partition."""

FIRST_CHUNK_OFFSETS: Final = 1_000
"""Few, so that the first results come soon."""
_CHUNK_GROWTH: Final = 4
CHUNK_BYTES: Final = 16 * 1024 * 1024
"""Bytes that a chunk should have: the last fetch of each brings up to one fetch too much."""


class Item(NamedTuple, Generic[ItemT]):
    """What was taken from one record. A tuple: a search makes millions."""

    place: Place
    offset: int
    timestamp: int
    """Epoch milliseconds, of the record."""
    size: int
    """Bytes of the record's value."""
    value: ItemT


@dataclass(frozen=True, slots=True)
class Chunk(Generic[ItemT]):
    """What was read of a partition in one go: the offsets from `low` to the previous `low`."""

    low: int
    found: Iterable[Item[ItemT]]
    """By ascending offset."""
    oldest: float
    """The timestamp of the oldest record, found or not; infinity: there was none."""
    size: int
    """Bytes that were fetched."""
    at_log_start: bool = False
    """Whether the log has nothing before it any more: retention deleted it while it was read."""


class Reached(StrEnum):
    """What ended the reading of a partition."""

    SINCE = "since"
    """The time that was asked for."""
    LOG_START = "log_start"
    """The first record that there is; retention has deleted earlier ones."""
    BEGINNING = "beginning"
    """The first record that there ever was."""


@dataclass(frozen=True, slots=True)
class Span:
    """The offsets of a partition that are to be read: from `low` to before `high`."""

    low: int
    high: int
    reached: Reached
    """What `low` is."""


@dataclass(slots=True)
class _Partition(Generic[ItemT]):
    """The state of one partition."""

    span: Span
    low: int
    """The first offset that was read; everything from here on was."""
    offsets: int
    """Of the next chunk."""
    oldest: float = inf
    """The timestamp of the oldest record that was read."""
    found: deque[Item[ItemT]] = field(default_factory=deque)
    """Read and not yet given out, by ascending offset."""

    @property
    def is_exhausted(self) -> bool:
        return self.low <= self.span.low

    @property
    def next_offset(self) -> int:
        """The offset before which a later reading of the same partition goes on."""
        return self.found[-1].offset + 1 if self.found else self.low

    @property
    def frontier(self) -> float:
        """Nothing newer than this timestamp can follow."""
        return self.found[-1].timestamp if self.found else self.oldest


class BackwardMerge(Generic[ItemT]):
    """Gives out the items of several partitions, each partition in the order of its offsets, the
    highest first, and of all partitions the one with the newest item first.

    If timestamps rise with the offsets, that is the order of (timestamp, place, offset).
    """

    def __init__(
        self,
        spans: Mapping[Place, Span],
        first_offsets: int = FIRST_CHUNK_OFFSETS,
        chunk_bytes: int = CHUNK_BYTES,
    ) -> None:
        """`first_offsets`: of each partition's first chunk; others are sized by what it had, to
        have `chunk_bytes` at most.
        """
        self._chunk_bytes = chunk_bytes
        self._partitions: dict[Place, _Partition[ItemT]] = {
            place: _Partition(span, max(span.low, span.high), first_offsets)
            for place, span in spans.items()
        }
        self._all_found = False
        """Whether every partition that is not exhausted has an item: then no chunk is wanted."""

    def add(self, place: Place, chunk: Chunk[ItemT]) -> None:
        """Take in a chunk that `wanted` named."""
        partition = self._partitions[place]
        read = max(1, partition.low - chunk.low)
        partition.offsets = next_chunk_offsets(read, chunk.size, self._chunk_bytes)
        partition.low = chunk.low
        partition.oldest = min(partition.oldest, chunk.oldest)
        partition.found.extendleft(reversed(list(chunk.found)))
        self._all_found = False
        if chunk.at_log_start:
            span = partition.span
            partition.span = Span(chunk.low, span.high, Reached.LOG_START)

    def wanted(self) -> tuple[Place, int, int] | None:
        """The next chunk to read: a place, its first offset and the one behind its last; None if
        none is needed before the next item is given out, or all is read.
        """
        if self._all_found:
            return None
        waiting = [
            (partition.oldest, place)
            for place, partition in self._partitions.items()
            if not partition.found and not partition.is_exhausted
        ]
        if not waiting:
            self._all_found = True
            return None
        newest, place = max(waiting)
        best = self._best()
        if best is not None and (best.timestamp, best.place) > (newest, place):
            return None
        partition = self._partitions[place]
        low = max(partition.span.low, partition.low - partition.offsets)
        return place, low, partition.low

    def pop(self) -> Item[ItemT] | None:
        """The next item; None if there is none. Call it only while nothing is `wanted`."""
        best = self._best()
        if best is None:
            return None
        found = self._partitions[best.place].found
        found.pop()
        if not found:
            self._all_found = False
        return best

    def next_offsets(self) -> dict[Place, int]:
        """For each place the offset before which a later reading goes on."""
        return {place: partition.next_offset for place, partition in self._partitions.items()}

    @property
    def has_more(self) -> bool:
        """Whether something is not yet read or not yet given out."""
        return any(one.found or not one.is_exhausted for one in self._partitions.values())

    def searched_to(self) -> float:
        """Everything newer than this timestamp was given out; infinity: nothing is certain."""
        frontiers = [
            partition.frontier
            for partition in self._partitions.values()
            if partition.found or not partition.is_exhausted
        ]
        return max(frontiers, default=self.oldest())

    def oldest(self) -> float:
        """The timestamp of the oldest record that was read; infinity: none was."""
        return min((partition.oldest for partition in self._partitions.values()), default=inf)

    def complete_from(self) -> float:
        """Retention has deleted nothing newer than this timestamp; minus infinity: nothing that
        was asked for.
        """
        cut = [
            partition.oldest
            for partition in self._partitions.values()
            if partition.span.reached is Reached.LOG_START and partition.oldest != inf
        ]
        return max(cut, default=-inf)

    @property
    def reached(self) -> frozenset[Reached]:
        """What the spans' first offsets are; of the partitions that have any."""
        return frozenset(partition.span.reached for partition in self._partitions.values())

    def _best(self) -> Item[ItemT] | None:
        best = None
        for partition in self._partitions.values():
            if partition.found:
                item = partition.found[-1]
                if best is None or (item.timestamp, item.place) > (best.timestamp, best.place):
                    best = item
        return best


def next_chunk_offsets(offsets: int, size: int, chunk_bytes: int = CHUNK_BYTES) -> int:
    """The number of offsets of the next chunk, after one of `offsets` that had `size` bytes."""
    fitting = offsets * chunk_bytes // size if size else offsets * _CHUNK_GROWTH
    return max(1, min(fitting, offsets * _CHUNK_GROWTH))
