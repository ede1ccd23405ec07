"""The partitions that this member of the group has, and how far each was read."""

from collections.abc import Collection, Iterator

from aiokafka import AIOKafkaConsumer, TopicPartition

from consumer.records.tracker import OffsetTracker
from consumer.stream.positions import Beginning, CommitNote, Position, Why


class Assignment:
    """Each assigned partition is read from a position of ours, or waits for one.

    One that waits is paused in the consumer, so aiokafka never decides where to read. Nothing here
    awaits: what is true before a call's first line is true at its last.
    """

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self.generation = 0
        """Counts assignments and revocations."""
        self.read: dict[TopicPartition, OffsetTracker] = {}
        """Those that were given a position."""
        self.notes: dict[TopicPartition, CommitNote] = {}
        """What their commits say."""
        self.waiting: set[TopicPartition] = set()
        """Those that wait for a position, the first one or another."""
        self.moved: set[TopicPartition] = set()
        """Those whose position was set since this was last cleared: what a poll that began before
        returns of them may be of either side."""
        self.ends: dict[TopicPartition, int] = {}
        """The ends of their logs, as last seen."""
        self.sure_ends: dict[TopicPartition, int] = {}
        """Those that are sure to be of the topic that is read, not of one made again."""
        self._last: dict[TopicPartition, Position] = {}
        """Those that were read in an earlier assignment of this process."""
        self._left: list[OffsetTracker] = []
        """Logs that are gone, with deliveries under way that nobody can read again."""

    def assign(self, tps: Collection[TopicPartition]) -> None:
        """Let these wait for their first position."""
        self.generation += 1
        for tp in tps:
            # Any position will do: it is not fetched from, and without one aiokafka takes its own.
            self._consumer.seek(tp, 0)
            self.suspend(tp)

    def suspend(self, tp: TopicPartition) -> None:
        """Let an assigned partition wait for another position; nothing is fetched meanwhile."""
        self._consumer.pause(tp)
        self.waiting.add(tp)

    def begin(self, tp: TopicPartition, beginning: Beginning, note: CommitNote) -> OffsetTracker:
        """Read a partition that waits from `beginning`; its commits say `note`."""
        partition = self.read.get(tp)
        if partition is not None and beginning.why in (Why.REMADE, Why.LOG_ENDS_EARLIER):
            self._leave(partition)
            partition = None
        if partition is None:
            partition = self.read[tp] = OffsetTracker(tp.topic, tp.partition, beginning.offset)
        partition.skip_to(beginning.offset)
        self.notes[tp] = note
        self.waiting.discard(tp)
        self.moved.add(tp)
        self._consumer.seek(tp, partition.next_offset)
        self._consumer.resume(tp)
        return partition

    def revoke(self, tps: Collection[TopicPartition]) -> None:
        """Forget these. What is unsettled of them the next owner reads again."""
        self.generation += 1
        for tp in tps:
            self.waiting.discard(tp)
            self.moved.discard(tp)
            self.ends.pop(tp, None)
            self.sure_ends.pop(tp, None)
            partition = self.read.pop(tp, None)
            if partition is None:
                continue
            self._last[tp] = Position(partition.next_offset, self.notes.pop(tp))
            if self._consumer.partitions_for_topic(tp.topic):
                partition.revoked = True
            else:  # the topic was deleted
                self._leave(partition)

    def reads(self, tp: TopicPartition, partition: OffsetTracker) -> bool:
        """Whether `partition` is what is read of `tp` now."""
        return self.read.get(tp) is partition and tp not in self.waiting

    def position(self, tp: TopicPartition) -> Position | None:
        """How far this process has read a partition in its present assignment."""
        partition = self.read.get(tp)
        if partition is None:
            return None
        return Position(partition.next_offset, self.notes[tp], self.sure_ends.get(tp, 0))

    def earlier_position(self, tp: TopicPartition) -> Position | None:
        """How far this process had read a partition when it last had it."""
        return self._last.get(tp)

    def next_offset(self, tp: TopicPartition) -> int | None:
        """The offset behind the last record taken; None for a partition that was never begun."""
        partition = self.read.get(tp)
        return partition.next_offset if partition is not None else None

    def committable(self, tp: TopicPartition) -> int | None:
        """The offset that a partition may be committed at; None if that is not known."""
        partition = self.read.get(tp)
        return partition.committable if partition is not None else None

    def under_way(self) -> Iterator[OffsetTracker]:
        """All that may have something unsettled."""
        self._left = [partition for partition in self._left if partition.unsettled]
        yield from self.read.values()
        yield from self._left

    def _leave(self, partition: OffsetTracker) -> None:
        """What is under way of a log that is gone goes on, and its end changes no offset."""
        if partition.unsettled:
            self._left.append(partition)
