"""The index of lines against a plain list of records: state machine with small bounds."""

from dataclasses import dataclass, field

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from consumer.records.line_table import Home
from consumer.records.order_line import Line
from consumer.records.order_lines import OrderLines
from consumer.records.overflow_tracker import OverflowTracker
from support.fakes import FakeClock, make_record

HOOKS = ("a", "b")
SOURCE_OFFSET = 7


@dataclass
class Waiting:
    """A record of the overflow topic."""

    key: int
    hook: str
    is_first: bool
    not_before: float
    state: str = "waiting"
    line: Line | None = field(default=None, repr=False)


class LineTableMachine(RuleBasedStateMachine):
    """Records come, are taken, put back, settled and lost."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.lines = OrderLines(self.clock)
        self.lines.max_lines, self.lines.min_lines = 3, 1
        self.tracker = OverflowTracker("overflow", 0, 0)
        self.lines.assign({0}, 1)
        self.lines.begun(self.tracker)
        self.home: Home = self.lines.homes[0]
        self.log: list[Waiting] = []

    def waiting(self, hook: str, state: str = "waiting") -> list[int]:
        """The offsets of a hook's records in this state."""
        return [n for n, each in enumerate(self.log) if (each.hook, each.state) == (hook, state)]

    def turn(self, key: int) -> int | None:
        """The offset of the record whose turn it is in a line, if it may go on."""
        line = [n for n, each in enumerate(self.log) if each.key == key and each.state == "waiting"]
        if any(each.key == key and each.state == "taken" for each in self.log) or not line:
            return None
        first = next((n for n in line if self.log[n].is_first), line[0])
        return first if self.log[first].not_before <= self.clock.now() else None

    def ready(self, hook: str) -> set[int]:
        """What the table says may go on."""
        if hook not in self.home.hooks:
            return set()
        return set(self.lines.advance(self.home, hook).ready)

    @rule(
        user=st.integers(0, 5),
        hook=st.sampled_from(HOOKS),
        is_first=st.booleans(),
        delay=st.sampled_from([0.0, 0.0, 5.0]),
    )
    def write(self, user: int, hook: str, is_first: bool, delay: float) -> None:
        """A record is written, and indexed."""
        key = 1 + user + 10 * HOOKS.index(hook)
        not_before = self.clock.now() + delay if is_first else 0.0
        offset = self.tracker.next_offset
        self.log.append(Waiting(key, hook, is_first, not_before))
        self.tracker.add(offset, hook, 0.0, is_ordered=True)
        self.lines.index(
            self.home,
            hook,
            key,
            offset,
            source_offset=SOURCE_OFFSET,
            is_first=is_first,
            not_before=not_before,
            first_failed_at=0.0,
        )

    @rule(data=st.data(), hook=st.sampled_from(HOOKS))
    def take(self, data: st.DataObject, hook: str) -> None:
        """A line goes on."""
        ready = sorted(self.ready(hook))
        if not ready:
            return
        offset = data.draw(st.sampled_from(ready))
        line = self.tracker.taking = self.lines.take(self.home, hook, offset)
        self.tracker.receive(offset, make_record({}, offset=SOURCE_OFFSET), 1, 0.0)
        self.log[offset].state, self.log[offset].line = "taken", line

    @precondition(lambda self: any(each.state == "taken" for each in self.log))
    @rule(data=st.data(), is_settled=st.booleans())
    def end(self, data: st.DataObject, is_settled: bool) -> None:
        """A delivery is settled, or put back."""
        taken = [n for n, each in enumerate(self.log) if each.state == "taken"]
        offset = data.draw(st.sampled_from(taken))
        each = self.log[offset]
        if is_settled:
            each.state = "settled"
            self.tracker.settle(offset)
            return
        each.state, each.not_before = "waiting", 0.0
        self.tracker.put_back(offset, 0.0)
        assert each.line is not None
        self.lines.put_back(each.line, self.tracker)

    @rule()
    def wait(self) -> None:
        """Time passes."""
        self.clock.advance(3.0)

    @precondition(lambda self: self.log)
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        """The log no longer holds some records."""
        end = data.draw(st.integers(0, len(self.log)))
        start = data.draw(st.integers(max(0, end - 3), end))
        if self.tracker.lose(start, end):
            self.lines.lose(0)
        for each in self.log[start:end]:
            if each.state == "waiting":
                each.state = "lost"

    @invariant()
    def only_the_next_one_may_go_on(self) -> None:
        """Of a line only the record whose turn it is may go on, and some line may if one could."""
        for hook in HOOKS:
            ready, keys = self.ready(hook), {each.key for each in self.log if each.hook == hook}
            turns = {turn for key in keys if (turn := self.turn(key)) is not None}
            assert ready <= turns
            lines = self.home.hooks.get(hook)
            if lines is None:
                assert not keys
            else:
                assert lines.waiting == len(self.waiting(hook))
                if not lines.has_later:
                    assert ready == turns
                assert lines.has_later <= (lines.listed >= self.lines.min_lines)
                assert lines.first() == min(ready, default=-1)

    @invariant()
    def nothing_is_kept_for_nothing(self) -> None:
        """No line is kept of which nothing waits and nothing is under way."""
        known = {each.key for each in self.log if each.state in {"waiting", "taken"}}
        assert {line.key for line in self.lines} <= known


TestLineTable = LineTableMachine.TestCase
