"""The replicas that run, and whether the newest definitions are in force there."""

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from statistics import fmean
from typing import Final

from consumer.control.status import GONE_SECONDS, STATUS_SECONDS, ReplicaStatus, read_status
from consumer.errors import InvalidValue
from consumer.records.record import Record

TREND_SECONDS: Final = 60.0
"""Of the statuses that a trend is made of."""
_MIN_STATUSES: Final = 4
_MAX_STATUSES: Final = int(TREND_SECONDS / STATUS_SECONDS) + 1


class StatusTable:
    """The newest status of each replica that did not stop in order, and its last minute."""

    def __init__(self) -> None:
        self._found: dict[bytes | None, ReplicaStatus] = {}
        self._recent: defaultdict[bytes | None, deque[ReplicaStatus]] = defaultdict(
            lambda: deque(maxlen=_MAX_STATUSES)
        )
        """The oldest first."""

    def take(self, record: Record) -> None:
        """Take the next record of the topic."""
        self._found.pop(record.key, None)
        try:
            status = read_status(record.key, record.value)
        except InvalidValue:
            return  # of a newer version
        if status is not None:
            self._found[record.key] = status
            self._recent[record.key].append(status)
        else:
            self._recent.pop(record.key, None)

    def clear(self) -> None:
        """Forget everything: the topic is read from its beginning."""
        self._found.clear()
        self._recent.clear()

    def running(self, now: float) -> list[ReplicaStatus]:
        """The replicas that told their status lately, by id; `now`: epoch seconds."""
        found = sorted(self._found.values(), key=lambda status: status.replica)
        running = [one for one in found if now - _seconds(one.at) <= GONE_SECONDS]
        for key in self._recent.keys() - {one.replica.encode() for one in running}:
            del self._recent[key]
        return running

    def lag_trends(self, status: ReplicaStatus) -> Mapping[str, float]:
        """See `lag_trends`, of the statuses of a replica that runs."""
        return lag_trends(self._recent.get(status.replica.encode(), ()))


def lag_trends(statuses: Iterable[ReplicaStatus]) -> dict[str, float]:
    """By topic, the records a second by which its lag grows; negative: by which it shrinks; 0: it
    does neither. Topics of which it is not known are left out: those whose partitions the replica
    has not read for long.

    `statuses`: of one replica, the oldest first. Lag goes up and down while a topic is kept up
    with, so it grows only if all of the later half is above all of the earlier half.
    """
    told = list(statuses)
    if not told:
        return {}
    newest = told[-1]
    told = [one for one in told if _seconds(one.at) >= _seconds(newest.at) - TREND_SECONDS]
    found = dict[str, float]()
    for topic in newest.lag:
        points = [
            (_seconds(one.at), one.lag[topic])
            for one in told
            if topic in one.lag and one.partitions.get(topic) == newest.partitions.get(topic)
        ]
        if len(points) >= _MIN_STATUSES:
            found[topic] = _trend(points)
    return found


def _trend(points: Sequence[tuple[float, float]]) -> float:
    """Change a second from the earlier half of the points (seconds, value) to the later half."""
    half = len(points) // 2
    early, late = points[:half], points[-half:]
    (first, before), (last, after) = _mean(early), _mean(late)
    grows = min(value for _, value in late) > max(value for _, value in early)
    shrinks = max(value for _, value in late) < min(value for _, value in early)
    return (after - before) / (last - first) if (grows or shrinks) and last > first else 0.0


def _mean(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    return fmean(at for at, _ in points), fmean(value for _, value in points)


@dataclass(frozen=True, slots=True)
class Replica:
    """One replica that runs."""

    status: ReplicaStatus
    newest_offset: int
    """Of the definitions' topic; -1: it is empty."""
    lag_per_second: Mapping[str, float] = field(default_factory=dict)
    """See `lag_trends`."""
    waiting_topics: frozenset[str] = frozenset()
    """Topics of its lag in which deliveries wait on purpose."""

    @property
    def is_current(self) -> bool:
        """Whether it had applied the newest record when it last told its status."""
        return self.status.hooks_offset >= self.newest_offset


def _seconds(at: str) -> float:
    """Epoch seconds of an RFC 3339 time; 0 if it is none."""
    try:
        return datetime.fromisoformat(at).timestamp()
    except ValueError:
        return 0.0
