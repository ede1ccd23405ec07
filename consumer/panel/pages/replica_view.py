"""What the page of replicas says of one: its lag, and what becomes of it; it is pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from consumer.control.status import ReplicaStatus
from consumer.services.replicas import Replica


class LagCourse(StrEnum):
    """What becomes of the lag of a topic."""

    NONE = "none"
    """Everything is settled."""
    WAITS = "waits"
    """Deliveries wait there on purpose: it is a retry or the overflow topic."""
    GROWS = "grows"
    SHRINKS = "shrinks"
    STEADY = "steady"
    UNKNOWN = "unknown"
    """Its replica has not told for long enough."""


@dataclass(frozen=True, slots=True)
class TopicRow:
    """What a replica reads of one topic."""

    topic: str
    partitions: Sequence[int]
    lag: int | None
    """Records that are not settled; None: not known."""
    course: LagCourse
    per_second: float
    """Records by which the lag grows or shrinks, never negative."""
    seconds: float | None
    """Until everything is settled at this pace; None: it does not shrink."""


@dataclass(frozen=True, slots=True)
class ReplicaView:
    """One replica."""

    status: ReplicaStatus
    is_current: bool
    newest_offset: int
    topics: Sequence[TopicRow]

    @property
    def has_waiting(self) -> bool:
        """Whether deliveries wait in some topic on purpose."""
        return any(row.course is LagCourse.WAITS for row in self.topics)


def replica_view(replica: Replica) -> ReplicaView:
    """What is shown of a replica."""
    rows = [_row(replica, *one) for one in replica.status.partitions.items()]
    return ReplicaView(replica.status, replica.is_current, replica.newest_offset, rows)


def _row(replica: Replica, topic: str, partitions: Sequence[int]) -> TopicRow:
    lag, trend = replica.status.lag.get(topic), replica.lag_per_second.get(topic)
    course = _course(lag, trend, is_for_waiting=topic in replica.waiting_topics)
    seconds = lag / -trend if course is LagCourse.SHRINKS and lag and trend else None
    return TopicRow(topic, partitions, lag, course, abs(trend or 0.0), seconds)


def _course(lag: int | None, trend: float | None, *, is_for_waiting: bool) -> LagCourse:
    if lag is None:
        return LagCourse.UNKNOWN
    if not lag:
        return LagCourse.NONE
    if is_for_waiting:
        return LagCourse.WAITS
    if trend is None:
        return LagCourse.UNKNOWN
    if not trend:
        return LagCourse.STEADY
    return LagCourse.GROWS if trend > 0 else LagCourse.SHRINKS
