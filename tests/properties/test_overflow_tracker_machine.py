"""The index of an overflow partition, against a list of records with a state each."""

from dataclasses import dataclass
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from consumer.records.overflow_tracker import OverflowTracker
from consumer.records.settled_runs import MAX_CHARACTERS, format_runs, parse_runs
from consumer.records.tracker import InFlightRecord
from support.fakes import FakeRecord

HOOKS = ["a", "b", "c"]


@dataclass
class _Entry:
    offset: int
    hook: str
    state: str
    taken: InFlightRecord | None = None


class OverflowTrackerMachine(RuleBasedStateMachine):
    """Each record of a partition waits, is in flight or settled; the log may have gaps."""

    def __init__(self) -> None:
        super().__init__()
        self.tracker = OverflowTracker("overflow", 0, 100)
        self.log: list[_Entry] = []
        self.settled_before: set[int] = set()

    @rule(hook=st.sampled_from(HOOKS), gap=st.integers(0, 3))
    def read(self, hook: str, gap: int) -> None:
        """Read the next record; some offsets hold none."""
        self.tracker.skip_settled()
        offset = self.tracker.next_offset + gap
        if gap:
            self.tracker.skip_to(offset)
            self.tracker.skip_settled()
            offset = self.tracker.next_offset
        self.tracker.add(offset, hook, float(offset))
        self.log.append(_Entry(offset, hook, "waiting"))

    @rule(hook=st.sampled_from(HOOKS))
    def take(self, hook: str) -> None:
        """Take the first record of a hook that waits."""
        waiting = self._of(hook, "waiting")
        if not waiting:
            queue = self.tracker.queues.get(hook)
            assert queue is None or not queue.waiting
            return
        first = waiting[0]
        assert self.tracker.next_of(self.tracker.queues[hook]) == first.offset
        first.taken = self.tracker.receive(first.offset, FakeRecord(), 1, 0.0)
        first.state = "taken"

    @precondition(lambda self: any(entry.state == "taken" for entry in self.log))
    @rule(data=st.data(), settles=st.booleans())
    def end(self, data: st.DataObject, settles: bool) -> None:
        """A record in flight is settled or put back."""
        entry = data.draw(st.sampled_from([e for e in self.log if e.state == "taken"]))
        assert entry.taken is not None
        if settles:
            entry.taken.ack_one()
            entry.state = "settled"
        else:
            self.tracker.put_back(entry.offset, float(entry.offset))
            entry.state = "waiting"

    @precondition(lambda self: self.log)
    @rule(data=st.data(), length=st.integers(1, 5))
    def lose(self, data: st.DataObject, length: int) -> None:
        """The log loses records that wait."""
        start = data.draw(st.integers(100, self.tracker.next_offset))
        lost = [e for e in self.log if start <= e.offset < start + length and e.state == "waiting"]
        assert self.tracker.lose(start, start + length) == len(lost)
        for entry in lost:
            entry.state = "settled"

    @rule()
    def assign_anew(self) -> None:
        """A new assignment begins with what was committed, and settles nothing twice."""
        self.tracker = OverflowTracker(
            "overflow", 0, self.tracker.committable, self.tracker.settled_text
        )
        self.log = [e for e in self.log if e.state != "settled"]
        for entry in self.log:
            self.tracker.skip_settled()
            assert self.tracker.next_offset <= entry.offset
            self.tracker.add(entry.offset, entry.hook, float(entry.offset))
            entry.state, entry.taken = "waiting", None

    @invariant()
    def commits_what_is_settled(self) -> None:
        """The committed offset is the first that is not settled, and the text names each settled
        one behind it, so that none is sent again.
        """
        unsettled = {e.offset for e in self.log if e.state != "settled"}
        committed = self.tracker.committable
        assert committed == min(unsettled, default=self.tracker.next_offset)
        named = {
            offset
            for start, end in parse_runs(self.tracker.settled_text, committed)
            for offset in range(start, end)
        }
        behind = set(range(committed, self.tracker.next_offset)) - unsettled
        assert {offset for offset in named if offset < self.tracker.next_offset} == behind

    @invariant()
    def knows_each_hook(self) -> None:
        """Each hook's number of waiting records is known, and a time before which none failed."""
        for hook, queue in self.tracker.queues.items():
            waiting = self._of(hook, "waiting")
            assert queue.waiting == len(waiting)
            assert all(queue.first_failed_at <= entry.offset for entry in waiting)
        assert self.tracker.unsettled == sum(e.state == "taken" for e in self.log)

    def _of(self, hook: str, state: str) -> list[_Entry]:
        return [entry for entry in self.log if entry.hook == hook and entry.state == state]


TestOverflowTracker = OverflowTrackerMachine.TestCase


def test_runs_of_two_assignments_that_meet_are_one() -> None:
    """What an earlier assignment settled right behind what this one has read and settled stays
    settled in the next commit.
    """
    tracker = OverflowTracker("overflow", 0, 100, format_runs([(101, 104), (105, 106)], 100))
    for offset in (100, 104):
        tracker.skip_settled()
        tracker.add(offset, "a", 0.0)
    assert tracker.lose(104, 105) == 1
    assert parse_runs(tracker.settled_text, tracker.committable) == [(101, 106)]


@given(
    st.lists(st.tuples(st.integers(1, 10**6), st.integers(1, 10**6)), max_size=50),
    st.integers(0, 2**62),
)
def test_runs_are_read_as_written(lengths: list[tuple[int, int]], committed: int) -> None:
    """Runs of settled offsets are read back from a commit as they were written."""
    runs, at = list[tuple[int, int]](), committed
    for gap, length in lengths:
        runs.append((at + gap, at + gap + length))
        at += gap + length
    text = format_runs(runs, committed)
    assert len(text) <= MAX_CHARACTERS
    assert parse_runs(text, committed) == runs


@given(st.text(max_size=100) | st.binary(max_size=100).map(lambda b: b.hex()), st.integers(0))
def test_any_text_in_a_commit_is_read(text: str, committed: int) -> None:
    """Another tool's text in a commit raises nothing and settles nothing before the offset."""
    assert all(start > committed for start, _ in parse_runs(text, committed))


@given(st.integers())
@settings(max_examples=10)
def test_too_many_runs_are_cut_off(seed: int) -> None:
    """If the runs do not fit into a commit, the first ones are kept."""
    random = Random(seed)  # noqa: S311  # a chance that is the same each time
    runs, at = list[tuple[int, int]](), 0
    for _ in range(20_000):
        at += random.randrange(1, 9)
        runs.append((at, at + random.randrange(1, 9)))
        at = runs[-1][1]
    text = format_runs(runs, 0)
    found = parse_runs(text, 0)
    assert len(text) <= MAX_CHARACTERS
    assert 500 < len(found) < len(runs)
    assert found == runs[: len(found)]
