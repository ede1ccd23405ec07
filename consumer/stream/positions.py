"""Decides on read positions of partitions. aiokafka would reset them silently, by offsets only."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Self

import orjson

EARLIEST, LATEST = -2, -1
"""Times that request a log's first offset, and the one after its last."""
UNKNOWN_OFFSET = -1
"""A broker's answer if no record is as new as the requested time."""
OLD_EVENT_SECONDS = 3_600.0
"""Age of events whose delivery after a start without a commit causes a warning."""


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic's present state in the cluster.

    `topic_id` is empty if the brokers assign no ids (before Kafka 2.8).
    """

    cluster_id: str
    topic_id: str
    partitions: int


@dataclass(frozen=True, slots=True)
class CommitNote:
    """A commit's metadata: the identity of its topic, and when the group began to read it.

    It is stored as JSON in the commit's metadata field. The topic's id detects a topic that was
    deleted and recreated, whatever its offsets are; the cluster's id detects offsets that a mirror
    copied from another cluster, whose topics have other ids (MirrorMaker copies the field).
    """

    cluster_id: str
    topic_id: str
    since: int
    """Epoch milliseconds at which the group began to read the topic."""
    partitions: int
    """Number of the topic's partitions at that time."""

    @classmethod
    def of(cls, topic: TopicState, now: float) -> Self:
        """Make the note of a group that begins at `now`, in epoch seconds."""
        return cls(topic.cluster_id, topic.topic_id, int(now * 1000), topic.partitions)

    @classmethod
    def read(cls, metadata: str | None) -> Self | None:
        """Parse a metadata field; None for a commit of an older version or another tool."""
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

    def text(self, settled: str = "") -> str:
        """The text of the metadata field; `settled`: see `Committed.settled`."""
        fields: dict[str, str | int] = {
            "cluster": self.cluster_id,
            "topic_id": self.topic_id,
            "since": self.since,
            "partitions": self.partitions,
        }
        if settled:
            fields["settled"] = settled
        return orjson.dumps(fields).decode()

    def is_of(self, topic: TopicState) -> bool:
        """Whether the note may be of the present `topic`; false only if it is of another one."""
        return (
            self.cluster_id != topic.cluster_id
            or "" in (self.topic_id, topic.topic_id)
            or self.topic_id == topic.topic_id
        )

    def about(self, topic: TopicState) -> "CommitNote":
        """A copy with the ids of `topic` in this cluster."""
        return replace(self, cluster_id=topic.cluster_id, topic_id=topic.topic_id)


@dataclass(frozen=True, slots=True)
class Log:
    """One partition's log: the offset of its first record, and the one after its last."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Position:
    """A read position in a partition, by the group's commit or by this process."""

    offset: int
    note: CommitNote | None = None
    end: int = 0
    """The log's end when last seen."""


class Why(Enum):
    """Reason for a partition's start offset."""

    GOES_ON = "the position is in the log"
    NO_COMMIT = "no committed offset"
    LOG_BEGINS_LATER = "the log begins after the position"
    LOG_ENDS_EARLIER = "the log ends before the position"
    REMADE = "the topic was deleted and recreated"


@dataclass(frozen=True, slots=True)
class Beginning:
    """The offset to read from, the reason, and the number of unread records lost."""

    offset: int
    why: Why
    lost: int = 0


def begin_at(position: Position | None, topic: TopicState, log: Log, first: int) -> Beginning:
    """Decide where to read a partition. `first`: the offset for a group that never read it.

    Every skipped unread record is counted in `lost`. A log that is not the one that was read is
    read from its start, so its events may be sent again.
    """
    if position is None:
        return Beginning(first, Why.NO_COMMIT)
    if position.note is not None and not position.note.is_of(topic):
        unread = max(0, position.end - position.offset)
        return Beginning(log.start, Why.REMADE, unread + log.start)
    if position.offset < log.start:
        return Beginning(log.start, Why.LOG_BEGINS_LATER, log.start - position.offset)
    if position.offset > log.end:
        return Beginning(log.start, Why.LOG_ENDS_EARLIER, position.offset - log.end)
    return Beginning(position.offset, Why.GOES_ON)


@dataclass(frozen=True, slots=True)
class Committed:
    """A commit of the group; `note` is None if it has no readable metadata."""

    offset: int
    note: CommitNote | None
    settled: str = ""
    """Settled offsets behind it, of the overflow topic (`records.settled_runs`)."""

    @classmethod
    def read(cls, offset: int, metadata: str | None) -> Self:
        """Parse a commit."""
        return cls(offset, CommitNote.read(metadata), _settled(metadata))

    def metadata(self) -> str:
        """The text that is stored with the offset."""
        return self.note.text(self.settled) if self.note is not None else ""


def first_time(start: int, partition: int, topic: TopicState, siblings: Iterable[Committed]) -> int:
    """Return the time in epoch milliseconds (or EARLIEST, LATEST) at which a partition without a
    commit begins.

    `start`: the source's setting, a time, EARLIEST or LATEST. `siblings`: the group's commits in
    the same topic; any of them shows that the group knows the source. A partition that was added
    since is read from its first record, so its events are not skipped. One whose leader was
    unreachable when the group began is read from that moment on.
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
    position: Position | None, topic: TopicState, siblings: Iterable[Committed], now: float
) -> CommitNote:
    """Make the note for a partition's next commits, at `now` in epoch seconds. It keeps the time at
    which the group began as long as the topic is the same.
    """
    mine = [] if position is None else [Committed(position.offset, position.note)]
    began = _earliest(_of(topic, mine)) or _earliest(_of(topic, siblings))
    return began.about(topic) if began is not None else CommitNote.of(topic, now)


def _settled(metadata: str | None) -> str:
    try:
        return str(orjson.loads(metadata or "")["settled"])
    except (ValueError, KeyError, TypeError):
        return ""


def _of(topic: TopicState, commits: Iterable[Committed]) -> list[Committed]:
    """The commits that are not of a former topic of the same name."""
    return [commit for commit in commits if commit.note is None or commit.note.is_of(topic)]


def _earliest(commits: Iterable[Committed]) -> CommitNote | None:
    notes = [commit.note for commit in commits if commit.note is not None]
    return min(notes, key=lambda note: note.since, default=None)
