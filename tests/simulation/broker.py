"""A model of the broker: logs, commits, and faults of both. `group.py` has the group's members."""

import asyncio
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from aiokafka import TopicPartition

from support.fakes import FakeRecord


class Observer(Protocol):
    """Who watches the broker."""

    def written(self, tp: TopicPartition, record: FakeRecord) -> None:
        """A record is in a log."""
        ...

    def committed(self, tp: TopicPartition, offset: int, metadata: str) -> None:
        """An offset is stored."""
        ...


@dataclass
class Faults:
    """The broker's present faults. Each share is a probability."""

    silent_acks: float = 0.0
    """Batches without an acknowledgement: half of them are written."""
    late_acks: float = 0.0
    """Batches that are acknowledged seconds later."""
    silent_commits: float = 0.0
    """Commits without an answer: they are stored at once, late, or not at all."""
    away: set[TopicPartition] = field(default_factory=set)
    """Partitions without a leader."""

    @property
    def any(self) -> bool:
        """Whether there are faults."""
        return bool(self.silent_acks or self.late_acks or self.silent_commits or self.away)


class Broker:
    """All logs of a cluster, and one group's commits."""

    def __init__(self, topics: Mapping[str, int], now: Callable[[], float], random: Random) -> None:
        """`topics`: the number of partitions of each; `now`: epoch seconds."""
        self.random = random
        self.faults = Faults()
        self.partitions = {topic: set(range(number)) for topic, number in topics.items()}
        self.logs: dict[TopicPartition, list[FakeRecord]] = {
            TopicPartition(topic, number): []
            for topic, numbers in self.partitions.items()
            for number in sorted(numbers)
        }
        self.starts: dict[TopicPartition, int] = {}
        self.offsets: dict[TopicPartition, int] = {}
        self.metadata: dict[TopicPartition, str] = {}
        self.arrivals: list[Callable[[TopicPartition], None]] = []
        """Called with each partition that has a new record."""
        self.observer: Observer
        self._now = now

    def latency(self) -> float:
        """Seconds of one way between a client and the broker."""
        return self.random.uniform(0.0005, 0.005)

    def partitions_for_topic(self, topic: str) -> set[int]:
        """See aiokafka's `ClusterMetadata`."""
        return self.partitions.get(topic, set())

    def append(self, tp: TopicPartition, record: FakeRecord) -> None:
        """Write a record."""
        record.topic, record.partition = tp
        record.offset = self.end_of(tp)
        record.timestamp = int(self._now() * 1000)
        self.logs[tp].append(record)
        self.observer.written(tp, record)
        for arrived in self.arrivals:
            arrived(tp)

    def end_of(self, tp: TopicPartition) -> int:
        """The offset behind the last record."""
        log = self.logs[tp]
        return log[-1].offset + 1 if log else self.starts.get(tp, 0)

    def store(self, committed: Mapping[TopicPartition, tuple[int, str]]) -> None:
        """Store a commit."""
        for tp, (offset, metadata) in committed.items():
            self.offsets[tp], self.metadata[tp] = offset, metadata
            self.observer.committed(tp, offset, metadata)

    def expire(self, topic: str, share: float) -> None:
        """Delete the first part of what is committed (retention)."""
        for tp, log in self.logs.items():
            if tp.topic != topic or tp not in self.offsets:
                continue
            start = self.starts.get(tp, 0)
            begin = start + int((self.offsets[tp] - start) * share)
            if begin > start:
                self.starts[tp] = begin
                end = self.end_of(tp)
                del log[: bisect_left(log, begin, key=_offset)]
                assert self.end_of(tp) == end

    @property
    def lag(self) -> dict[TopicPartition, int]:
        """Number of records behind the commits, of partitions that have any."""
        lag = {tp: self.end_of(tp) - self.offsets.get(tp, 0) for tp in self.logs}
        return {tp: number for tp, number in lag.items() if number}


def _offset(record: FakeRecord) -> int:
    return record.offset


async def never() -> None:
    """Wait for ever."""
    await asyncio.get_running_loop().create_future()
