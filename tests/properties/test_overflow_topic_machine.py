"""The overflow topic as one replica uses it, against plain lists of what waits where."""

from collections import Counter, defaultdict
from dataclasses import dataclass

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from consumer.metrics.stream import StreamMetrics
from consumer.records.overflow_tracker import OverflowTracker
from consumer.stream.overflow_topic import OverflowTopic
from support.fakes import FakeClock, FakeRecord

HOOKS = ["a", "b", "c"]
PARTITIONS = [0, 1, 2]


@dataclass
class _Taken:
    """A delivery that is under way."""

    tracker: OverflowTracker
    offset: int
    hook: str


class OverflowTopicMachine(RuleBasedStateMachine):
    """Deliveries are written, read, taken, put back and lost, over rebalances."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.topic = OverflowTopic("overflow", self.clock, StreamMetrics())
        self.trackers: dict[int, OverflowTracker] = {}
        self.logs: defaultdict[int, list[str]] = defaultdict(list)
        """By partition, the hooks of the records that were not read yet."""
        self.on_the_way: Counter[tuple[int, str]] = Counter()
        """Deliveries that were written by this replica and are expected."""
        self.sent_at: dict[int, float] = {}
        self.waiting: defaultdict[int, dict[int, str]] = defaultdict(dict)
        """By partition and offset, the hooks of the records that wait."""
        self.taken: list[_Taken] = []

    @rule(partitions=st.sets(st.sampled_from(PARTITIONS)))
    def rebalance(self, partitions: set[int]) -> None:
        """All partitions leave, and some come: what they hold is read again by their owner."""
        for number in self.trackers:
            self.topic.revoked(number)
        self.trackers = {n: OverflowTracker("overflow", n, 0) for n in sorted(partitions)}
        self.waiting.clear()
        self.on_the_way.clear()
        self.sent_at.clear()
        for tracker in self.trackers.values():
            self.topic.assigned(tracker)

    @rule(hook=st.sampled_from(HOOKS))
    def write(self, hook: str) -> None:
        """A delivery overflows: to the partition where its hook's others wait, or else to the one
        with the fewest.
        """
        loads = {number: self._load(number) for number in self.trackers}
        homes = {number for number in self.trackers if self._count(number, hook)}
        partition = self.topic.write(hook)
        if partition is None:
            assert not self.trackers
            return
        if not homes:
            assert loads[partition] == min(loads.values())
        else:
            assert partition in homes
        self.logs[partition].append(hook)
        self.on_the_way[partition, hook] += 1
        self.sent_at[partition] = self.clock.monotonic()

    @rule(hook=st.sampled_from(HOOKS), number=st.sampled_from(PARTITIONS))
    def write_elsewhere(self, hook: str, number: int) -> None:
        """An earlier owner's record arrives."""
        self.logs[number].append(hook)

    @rule(number=st.sampled_from(PARTITIONS))
    def lose_a_write(self, number: int) -> None:
        """A record never arrives."""
        if self.logs[number]:
            self.logs[number].pop()

    @precondition(lambda self: any(self.logs[number] for number in self.trackers))
    @rule(data=st.data())
    def read(self, data: st.DataObject) -> None:
        """The next record of a partition is indexed."""
        number = data.draw(st.sampled_from([n for n in self.trackers if self.logs[n]]))
        tracker, hook = self.trackers[number], self.logs[number].pop(0)
        self.waiting[number][tracker.next_offset] = hook
        tracker.add(tracker.next_offset, hook, 0.0)
        self.topic.read(tracker, hook)
        if self.on_the_way[number, hook]:
            self.on_the_way[number, hook] -= 1

    @precondition(lambda self: any(self.waiting.values()))
    @rule(data=st.data())
    def take(self, data: st.DataObject) -> None:
        """A delivery that waits starts."""
        number = data.draw(st.sampled_from([n for n in self.trackers if self.waiting[n]]))
        offset = data.draw(st.sampled_from(sorted(self.waiting[number])))
        hook = self.waiting[number].pop(offset)
        self.trackers[number].receive(offset, FakeRecord(), 1, 0.0)
        self.topic.taken(hook)
        self.taken.append(_Taken(self.trackers[number], offset, hook))

    @precondition(lambda self: self.taken)
    @rule(data=st.data())
    def put_back(self, data: st.DataObject) -> None:
        """A delivery waits again; one of an earlier assignment changes nothing."""
        taken = data.draw(st.sampled_from(self.taken))
        self.taken.remove(taken)
        taken.tracker.put_back(taken.offset, 0.0)
        self.topic.put_back(taken.tracker, taken.hook)
        number = taken.tracker.number
        if self.trackers.get(number) is taken.tracker:
            self.waiting[number][taken.offset] = taken.hook

    @precondition(lambda self: self.trackers)
    @rule(data=st.data(), length=st.integers(0, 4))
    def lose(self, data: st.DataObject, length: int) -> None:
        """A log loses its beginning."""
        number = data.draw(st.sampled_from(sorted(self.trackers)))
        tracker, waiting = self.trackers[number], self.waiting[number]
        start = tracker.committable
        lost = [offset for offset in waiting if offset < start + length]
        assert self.topic.lose(tracker, start, start + length) == len(lost)
        for offset in lost:
            del waiting[offset]

    @precondition(lambda self: self.trackers)
    @rule(data=st.data(), seconds=st.sampled_from([1.0, 61.0]))
    def forget(self, data: st.DataObject, seconds: float) -> None:
        """A partition was read to its end, and what was written to it long ago is not there."""
        number = data.draw(st.sampled_from(sorted(self.trackers)))
        self.clock.advance(seconds)
        self.topic.forget_lost(number)
        if self.clock.monotonic() >= self.sent_at.get(number, self.clock.monotonic()) + 60.0:
            del self.sent_at[number]
            for hook in HOOKS:
                self.on_the_way[number, hook] = 0

    @invariant()
    def counts_what_waits(self) -> None:
        """A hook is behind its deliveries that wait or are on the way, and no other hook is."""
        counts = {
            hook: sum(self._count(number, hook) for number in self.trackers) for hook in HOOKS
        }
        assert self.topic.behind == {hook: count for hook, count in counts.items() if count}

    def _count(self, number: int, hook: str) -> int:
        waiting = sum(other == hook for other in self.waiting[number].values())
        return waiting + self.on_the_way[number, hook]

    def _load(self, number: int) -> int:
        return sum(self._count(number, hook) for hook in HOOKS)


TestOverflowTopic = OverflowTopicMachine.TestCase
