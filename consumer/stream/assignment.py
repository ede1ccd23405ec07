"""The partitions assigned to this group member, and their read positions."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition

from consumer.records.overflow_tracker import OverflowTracker
from consumer.records.tracker import OffsetTracker
from consumer.stream.overflow_topic import OverflowTopic
from consumer.stream.positions import Beginning, CommitNote, Committed, Position, Why


class Leaving(NamedTuple):
    """A partition that is to move to another member."""

    tracker: OffsetTracker
    note: CommitNote


class Assignment:
    """State of the assigned partitions: each is read from a position set here, or waits for one.

    A waiting partition is paused in the consumer, so aiokafka never chooses a position. All methods
    are synchronous, so each call is atomic to the event loop.
    """

    def __init__(self, consumer: AIOKafkaConsumer, overflow: OverflowTopic) -> None:
        self._consumer = consumer
        self._overflow = overflow
        self.generation = 0
        """Counts assignments and revocations. A partition may outlast them."""
        self.trackers: dict[TopicPartition, OffsetTracker] = {}
        """Trackers of the partitions that have a position."""
        self.notes: dict[TopicPartition, CommitNote] = {}
        """Metadata notes for their commits."""
        self.leaving: dict[TopicPartition, Leaving] = {}
        """Partitions that are not assigned any more, and owned until `revoke`: what is in flight
        there ends, and no other member has them."""
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

    @property
    def owned(self) -> set[TopicPartition]:
        """The partitions that no other member may have."""
        return self.trackers.keys() | self.waiting | self.leaving.keys()

    def trackers_of(self, tps: Iterable[TopicPartition]) -> set[OffsetTracker]:
        """The trackers of owned partitions, as far as these have a position."""
        owned = self.trackers | {tp: each.tracker for tp, each in self.leaving.items()}
        return {owned[tp] for tp in tps if tp in owned}

    def begin_rebalance(self) -> None:
        """Note that an assignment follows; until then everything is still owned."""
        self.generation += 1

    def assign(self, tps: Collection[TopicPartition]) -> None:
        """Go on with the owned ones of the assigned partitions `tps`, let the others wait for their
        first position, and let those that are not assigned any more leave.
        """
        self.generation += 1
        overflow = self._overflow.name
        partitions = len(self._consumer.partitions_for_topic(overflow) or ())
        self._overflow.assign([tp.partition for tp in tps if tp.topic == overflow], partitions)
        self.waiting.intersection_update(tps)
        self.moved.intersection_update(tps)
        for tp in self.trackers.keys() - set(tps):
            self.leaving[tp] = Leaving(self.trackers.pop(tp), self.notes.pop(tp))
            if tp.topic == overflow:
                self._overflow.leaves(tp.partition)
        for tp in tps:
            if tp in self.leaving:
                tracker, self.notes[tp] = self.leaving.pop(tp)
                self.trackers[tp] = tracker
                if isinstance(tracker, OverflowTracker):
                    self._overflow.assigned(tracker)
            if tp in self.trackers and tp not in self.waiting:
                self._go_on(tp)
                continue
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
        self._go_on(tp)
        self._consumer.resume(tp)
        return tracker

    def _make_tracker(self, tp: TopicPartition, at: Beginning, settled: str) -> OffsetTracker:
        if tp.topic != self._overflow.name:
            return OffsetTracker(tp.topic, tp.partition, at.offset)
        is_same_log = at.why is Why.GOES_ON
        tracker = OverflowTracker(tp.topic, tp.partition, at.offset, settled if is_same_log else "")
        self._overflow.assigned(tracker)
        return tracker

    def _go_on(self, tp: TopicPartition) -> None:
        """Fetch on behind the last record taken."""
        self.moved.add(tp)
        self._consumer.seek(tp, self.next_offset(tp))

    def revoke(self, tps: Collection[TopicPartition]) -> None:
        """Forget partitions. The next owner reads their unsettled records again."""
        self.generation += 1
        for tp in tps:
            self.waiting.discard(tp)
            self.moved.discard(tp)
            self.ends.pop(tp, None)
            self.sure_ends.pop(tp, None)
            if tp.topic == self._overflow.name:
                self._overflow.revoked(tp.partition)
            if tp in self.trackers:
                tracker, note = self.trackers.pop(tp), self.notes.pop(tp)
            elif tp in self.leaving:
                tracker, note = self.leaving.pop(tp)
            else:
                continue
            self._last[tp] = Position(tracker.next_offset, note)
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

    def committable_offsets(
        self, known: Mapping[TopicPartition, Committed]
    ) -> dict[TopicPartition, Committed]:
        """What may be committed for each owned partition that has a position, as far as it differs
        from the `known` commits.
        """
        found = {}
        for tp, tracker, note in self._owned_trackers():
            before = known.get(tp)
            offset, settled = tracker.committable, tracker.settled_text
            if before is None or (before.offset, before.settled, before.note) != (
                offset,
                settled,
                note,
            ):
                found[tp] = Committed(offset, note, settled)
        return found

    def _owned_trackers(self) -> Iterator[tuple[TopicPartition, OffsetTracker, CommitNote]]:
        for tp, tracker in self.trackers.items():
            yield tp, tracker, self.notes[tp]
        for tp, (tracker, note) in self.leaving.items():
            yield tp, tracker, note

    def committable(self, tp: TopicPartition) -> int | None:
        """The offset to commit for a partition; None for a partition without a position."""
        tracker = self.trackers.get(tp)
        return tracker.committable if tracker is not None else None

    @property
    def unsettled(self) -> int:
        """Number of records received and not settled."""
        return sum(tracker.unsettled for tracker in self.with_unsettled())

    def with_unsettled(self) -> Iterator[OffsetTracker]:
        """All trackers that may have unsettled records."""
        self._orphaned = [tracker for tracker in self._orphaned if tracker.unsettled]
        yield from self.trackers.values()
        yield from (leaving.tracker for leaving in self.leaving.values())
        yield from self._orphaned

    def _orphan(self, tracker: OffsetTracker) -> None:
        """Let in-flight records of a deleted log finish; their results change no offset."""
        if tracker.unsettled:
            self._orphaned.append(tracker)


def partition_names(tps: Collection[TopicPartition]) -> list[str]:
    """Partitions as log lines name them."""
    return sorted(f"{tp.topic}/{tp.partition}" for tp in tps)
