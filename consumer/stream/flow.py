"""Measures what comes to this replica's partitions, what it takes of that, and what waits."""

from collections.abc import Container, Sequence
from dataclasses import dataclass

from aiokafka import TopicPartition

from consumer.records.overflow_tracker import OverflowTracker
from consumer.stream.assignment import Assignment
from consumer.stream.overflow_topic import OverflowTopic


@dataclass(frozen=True, slots=True)
class Flow:
    """Numbers of records since the last reading, and what is there now."""

    taken: int
    """Taken from source topics."""
    arrived: int
    """Come to source topics, by their ends as last seen: over some readings it is the true number.
    """
    deferred: int
    """Taken from retry topics and the overflow topic."""
    unread: int
    """Waiting in source topics, in partitions that can be read."""
    partitions: int
    """The partitions of source topics that this replica reads."""


class FlowMeter:
    """Reads offsets from time to time, so a record costs nothing."""

    def __init__(
        self,
        assignment: Assignment,
        sources: Container[str],
        overflow: OverflowTopic,
        held: Sequence[Container[TopicPartition]],
    ) -> None:
        """`sources`: topics; `held`: partitions that cannot be read now."""
        self._assignment = assignment
        self._sources = sources
        self._overflow = overflow
        self._held = held
        self._positions: dict[TopicPartition, int] = {}
        self._unread: dict[TopicPartition, int] = {}
        self._overflowed = overflow.taken_records

    def read(self) -> Flow:
        """What happened since the last reading. Partitions that are new since then, or are read
        from another position, begin to count now.
        """
        positions, unread = self._look()
        taken = arrived = deferred = 0
        for tp, position in positions.items():
            moved = max(0, position - self._positions.get(tp, position))
            if tp in unread:
                taken += moved
                arrived += moved + unread[tp] - self._unread.get(tp, unread[tp])
            else:
                deferred += moved
        overflowed = self._overflow.taken_records
        deferred += overflowed - self._overflowed
        self._positions, self._unread, self._overflowed = positions, unread, overflowed
        return Flow(taken, max(0, arrived), deferred, sum(unread.values()), len(unread))

    def _look(self) -> tuple[dict[TopicPartition, int], dict[TopicPartition, int]]:
        """The next offset of each partition of source and retry topics, and for those of source
        topics the number of records from there to the end.
        """
        positions: dict[TopicPartition, int] = {}
        unread: dict[TopicPartition, int] = {}
        ends = self._assignment.ends
        for tp, tracker in self._assignment.trackers.items():
            if isinstance(tracker, OverflowTracker):
                continue  # its offsets tell of the index, not of deliveries
            positions[tp] = tracker.next_offset
            if tp.topic in self._sources:
                is_held = any(tp in held for held in self._held)
                can_read = not is_held and tp not in self._assignment.waiting
                end = ends.get(tp, tracker.next_offset)
                unread[tp] = max(0, end - tracker.next_offset) if can_read else 0
        return positions, unread
