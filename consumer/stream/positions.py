"""Decides where a partition is read from. aiokafka would decide in silence and by offsets only."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Self

import orjson

EARLIEST, LATEST = -2, -1
"""Times that ask a broker for a log's first offset and for the one behind its last."""
UNKNOWN_OFFSET = -1
"""A broker's answer if no record is as new as the time that was asked for."""
OLD_SECONDS = 3_600.0
"""Age of an event from which sending it at a source's beginning is worth a warning."""


@dataclass(frozen=True, slots=True)
class TopicState:
    """One topic as the cluster describes it now.

    `topic_id` is empty if the brokers give topics none (before Kafka 2.8).
    """

    cluster_id: str
    topic_id: str
    partitions: int


@dataclass(frozen=True, slots=True)
class CommitNote:
    """What a commit says beside its offset: of which topic it is, and when the group began it.

    It is stored as JSON in the metadata field of the commit. The topic's id tells a topic that was
    deleted and made again, whatever its offsets are; the cluster's id tells offsets that a mirror
    copied from another cluster, whose topics have other ids (MirrorMaker copies the field).
    """

    cluster_id: str
    topic_id: str
    since: int
    """Epoch milliseconds at which the group began to read the topic."""
    partitions: int
    """How many the topic had at that time."""

    @classmethod
    def of(cls, topic: TopicState, now: float) -> Self:
        """The note of a group that begins at `now`, in epoch seconds."""
        return cls(topic.cluster_id, topic.topic_id, int(now * 1000), topic.partitions)

    @classmethod
    def read(cls, metadata: str | None) -> Self | None:
        """None for a commit of an older version or of another tool."""
        try:
            found = orjson.loads(metadata or "")
            return cls(
                str(found["cluster"]),
                str(found["topic_id"]),
                int(found["since"]),
                int(found["partitions"]),
            )
        except (ValueError, KeyError, TypeError):
            return None

    def text(self) -> str:
        """The metadata field's text."""
        return orjson.dumps(
            {
                "cluster": self.cluster_id,
                "topic_id": self.topic_id,
                "since": self.since,
                "partitions": self.partitions,
            }
        ).decode()

    def is_of(self, topic: TopicState) -> bool:
        """Whether the note may be about `topic` as it is now; false only if it surely is not."""
        return (
            self.cluster_id != topic.cluster_id
            or "" in (self.topic_id, topic.topic_id)
            or self.topic_id == topic.topic_id
        )

    def about(self, topic: TopicState) -> "CommitNote":
        """The same beginning, in this cluster's words."""
        return replace(self, cluster_id=topic.cluster_id, topic_id=topic.topic_id)


@dataclass(frozen=True, slots=True)
class Log:
    """One partition's log: the offsets of its first record, and behind its last."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Position:
    """How far a partition was read: by the group's commit, or by this process."""

    offset: int
    note: CommitNote | None = None
    end: int = 0
    """The end of the log when it was last seen."""


class Why(Enum):
    """Why a partition is read from an offset."""

    GOES_ON = "the position is in the log"
    NO_COMMIT = "no committed offset"
    LOG_BEGINS_LATER = "the log begins behind the position"
    LOG_ENDS_EARLIER = "the log ends before the position"
    REMADE = "the topic was deleted and made again"


@dataclass(frozen=True, slots=True)
class Beginning:
    """Where to read on, why, and how many records are lost that were not read."""

    offset: int
    why: Why
    lost: int = 0


def begin_at(reached: Position | None, topic: TopicState, log: Log, first: int) -> Beginning:
    """Decide where to read a partition. `first`: the offset for a group that never read it.

    An unread record is never passed over without being counted in `lost`. Records that were read
    are sent again where the log is not the one that they were read from.
    """
    if reached is None:
        return Beginning(first, Why.NO_COMMIT)
    if reached.note is not None and not reached.note.is_of(topic):
        unread = max(0, reached.end - reached.offset)
        return Beginning(log.start, Why.REMADE, unread + log.start)
    if reached.offset < log.start:
        return Beginning(log.start, Why.LOG_BEGINS_LATER, log.start - reached.offset)
    if reached.offset > log.end:
        return Beginning(log.start, Why.LOG_ENDS_EARLIER, reached.offset - log.end)
    return Beginning(reached.offset, Why.GOES_ON)


@dataclass(frozen=True, slots=True)
class Committed:
    """A commit of the group: its offset, and its note if it has one."""

    offset: int
    note: CommitNote | None


def first_time(start: int, partition: int, topic: TopicState, siblings: Iterable[Committed]) -> int:
    """The time to ask a broker for, in epoch milliseconds, for a partition without a commit.

    `start`: the source's setting, a time, EARLIEST or LATEST. `siblings`: the group's commits in
    the same topic; with one of them the source is not new to the group. A partition that was added
    since is read from its first record: nobody can have meant to pass over its events. One whose
    leader was away when the group began is read from that moment on.
    """
    known = _of(topic, siblings)
    began = _earliest(known)
    if start == EARLIEST or (known and began is None):
        return EARLIEST
    if began is None:
        return start
    if partition >= began.partitions:
        return EARLIEST
    return began.since if start == LATEST else start


def next_note(
    reached: Position | None, topic: TopicState, siblings: Iterable[Committed], now: float
) -> CommitNote:
    """The note for the next commits of a partition, at `now` in epoch seconds: when the group began
    the source is kept as long as the topic is the same.
    """
    mine = [] if reached is None else [Committed(reached.offset, reached.note)]
    began = _earliest(_of(topic, mine)) or _earliest(_of(topic, siblings))
    return began.about(topic) if began is not None else CommitNote.of(topic, now)


def _of(topic: TopicState, commits: Iterable[Committed]) -> list[Committed]:
    """Those that are not of an earlier topic of the same name."""
    return [commit for commit in commits if commit.note is None or commit.note.is_of(topic)]


def _earliest(commits: Iterable[Committed]) -> CommitNote | None:
    notes = [commit.note for commit in commits if commit.note is not None]
    return min(notes, key=lambda note: note.since, default=None)
