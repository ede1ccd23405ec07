"""The partitions assigned to this group member, and their read positions."""

from collections.abc import Collection, Iterator

from aiokafka import AIOKafkaConsumer, TopicPartition

from consumer.records.overflow_tracker import OverflowTracker
from consumer.records.tracker import OffsetTracker
from consumer.stream.overflow_topic import OverflowTopic
from consumer.stream.positions import Beginning, CommitNote, Position, Why


class Assignment:
    """State of the assigned partitions: each is read from a position set here, or waits for one.

    A waiting partition is paused in the consumer, so aiokafka never chooses a position. All methods
    are synchronous, so each call is atomic to the event loop.
    """

    def __init__(self, consumer: AIOKafkaConsumer, overflow: OverflowTopic) -> None:
        self._consumer = consumer
        self._overflow = overflow
        self.generation = 0
        """Counts assignments and revocations."""
        self.trackers: dict[TopicPartition, OffsetTracker] = {}
        """Trackers of the partitions that have a position."""
        self.notes: dict[TopicPartition, CommitNote] = {}
        """Metadata notes for their commits."""
        self.waiting: set[TopicPartition] = set()
        """Partitions that wait for a position, the first one or a new one."""
        self.moved: set[TopicPartition] = set()
        """Partitions whose position was set since this was last cleared. A poll that began earlier
        may return records from before or after the move."""
        self.ends: dict[TopicPartition, int] = {}
        """Log end offsets, as last seen."""
        self.sure_ends: dict[TopicPartition, int] = {}
        """Log end offsets known to be of the topic that is read, not of a recreated one."""
        self._last: dict[TopicPartition, Position] = {}
        """Positions from earlier assignments of this process."""
        self._orphaned: list[OffsetTracker] = []
        """Trackers of deleted logs with records in flight, which cannot be read again."""

    def assign(self, tps: Collection[TopicPartition]) -> None:
        """Let partitions wait for their first position."""
        self.generation += 1
        for tp in tps:
            # A placeholder, never fetched from: without a position aiokafka would choose one.
            self._consumer.seek(tp, 0)
            self.suspend(tp)

    def suspend(self, tp: TopicPartition) -> None:
        """Pause an assigned partition until it gets a new position."""
        self._consumer.pause(tp)
        self.waiting.add(tp)

    def begin(
        self, tp: TopicPartition, beginning: Beginning, note: CommitNote, settled: str = ""
    ) -> OffsetTracker:
        """Read a waiting partition from `beginning`; `note` goes into its commits. `settled`: what
        the group's commit names besides its offset.
        """
        tracker = self.trackers.get(tp)
        if tracker is not None and beginning.why in (Why.REMADE, Why.LOG_ENDS_EARLIER):
            self._orphan(tracker)
            tracker = None
        if tracker is None:
            tracker = self.trackers[tp] = self._make_tracker(tp, beginning, settled)
        tracker.skip_to(beginning.offset)
        if isinstance(tracker, OverflowTracker):
            tracker.position = tracker.next_offset
        self.notes[tp] = note
        self.waiting.discard(tp)
        self.moved.add(tp)
        self._consumer.seek(tp, tracker.next_offset)
        self._consumer.resume(tp)
        return tracker

    def _make_tracker(self, tp: TopicPartition, at: Beginning, settled: str) -> OffsetTracker:
        if tp.topic != self._overflow.name:
            return OffsetTracker(tp.topic, tp.partition, at.offset)
        is_same_log = at.why is Why.GOES_ON
        tracker = OverflowTracker(tp.topic, tp.partition, at.offset, settled if is_same_log else "")
        self._overflow.assigned(tracker)
        return tracker

    def revoke(self, tps: Collection[TopicPartition]) -> None:
        """Forget partitions. The next owner reads their unsettled records again."""
        self.generation += 1
        for tp in tps:
            self.waiting.discard(tp)
            self.moved.discard(tp)
            self.ends.pop(tp, None)
            self.sure_ends.pop(tp, None)
            tracker = self.trackers.pop(tp, None)
            if tracker is None:
                continue
            if tp.topic == self._overflow.name:
                self._overflow.revoked(tp.partition)
            self._last[tp] = Position(tracker.next_offset, self.notes.pop(tp))
            if self._consumer.partitions_for_topic(tp.topic):
                tracker.revoked = True
            else:  # the topic was deleted
                self._orphan(tracker)

    def reads(self, tp: TopicPartition, tracker: OffsetTracker) -> bool:
        """Whether `tracker` is the current tracker of `tp`."""
        return self.trackers.get(tp) is tracker and tp not in self.waiting

    def position(self, tp: TopicPartition) -> Position | None:
        """The position of this process in a partition, in the present assignment."""
        tracker = self.trackers.get(tp)
        if tracker is None:
            return None
        return Position(tracker.next_offset, self.notes[tp], self.sure_ends.get(tp, 0))

    def earlier_position(self, tp: TopicPartition) -> Position | None:
        """The position of this process in a partition at the end of an earlier assignment."""
        return self._last.get(tp)

    def next_offset(self, tp: TopicPartition) -> int | None:
        """The offset to read next; None for a partition without a position."""
        tracker = self.trackers.get(tp)
        if isinstance(tracker, OverflowTracker):
            return tracker.position
        return tracker.next_offset if tracker is not None else None

    def committable(self, tp: TopicPartition) -> int | None:
        """The offset to commit for a partition; None for a partition without a position."""
        tracker = self.trackers.get(tp)
        return tracker.committable if tracker is not None else None

    def with_unsettled(self) -> Iterator[OffsetTracker]:
        """All trackers that may have unsettled records."""
        self._orphaned = [tracker for tracker in self._orphaned if tracker.unsettled]
        yield from self.trackers.values()
        yield from self._orphaned

    def _orphan(self, tracker: OffsetTracker) -> None:
        """Let in-flight records of a deleted log finish; their results change no offset."""
        if tracker.unsettled:
            self._orphaned.append(tracker)
