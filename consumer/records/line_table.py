"""The table of all lines, and the index of what of them waits in the overflow topic."""

from collections.abc import Iterator
from typing import Final

from consumer.clock import Clock
from consumer.records.order_line import NOTHING, HookLines, Line
from consumer.records.overflow_tracker import OverflowTracker

MAX_LINES: Final = 65_536
"""Lines that are listed, of all hooks together, at some 500 bytes each."""
MIN_LINES: Final = 256
"""Lines of one hook in one partition that are listed whatever the others have."""
MAX_MOVED_LINES: Final = 4 * MAX_LINES
"""With so many lines no more records are indexed: those that go first are always listed."""
UNKNOWN_END: Final = 2**63 - 1


class Home:
    """A partition of the overflow topic that is assigned to this process."""

    __slots__ = ("asked", "barrier", "hooks", "number", "tracker")

    def __init__(self, number: int) -> None:
        self.number = number
        self.tracker: OverflowTracker | None = None
        """None until it has a position."""
        self.barrier = UNKNOWN_END
        """Every record that other members wrote for the source partitions that this one has now is
        before this offset."""
        self.asked = 0
        """Counts the times that the barrier became unknown."""
        self.hooks: dict[str, HookLines] = {}

    @property
    def is_sure(self) -> bool:
        """Whether all of those records are in the index."""
        return self.tracker is not None and self.tracker.next_offset >= self.barrier


class LineTable:
    """Lines by key, and the order in which their records are to be read."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.homes: dict[int, Home] = {}
        """By number, the partitions of the overflow topic that are assigned to this process."""
        self.max_lines = MAX_LINES
        self.min_lines = MIN_LINES
        self._lines: dict[int, Line] = {}
        self.has_been_used = False
        """Whether there ever was a line."""
        self._listed = 0

    def __len__(self) -> int:
        return len(self._lines)

    def __iter__(self) -> Iterator[Line]:
        return iter(self._lines.values())

    @property
    def is_full(self) -> bool:
        """Whether no more records may be indexed."""
        return len(self._lines) >= MAX_MOVED_LINES

    def get(self, key: int) -> Line | None:
        """The line with this key, if anything is known of it."""
        return self._lines.get(key)

    def known_at(self, hook: str) -> float:
        """Epoch seconds at which another replica last knew `hook`, as its records tell; or 0.0."""
        lines = (home.hooks.get(hook) for home in self.homes.values())
        return max((one.known_at for one in lines if one is not None), default=0.0)

    def index(
        self,
        home: Home,
        hook: str,
        key: int,
        offset: int,
        *,
        source_offset: int,
        is_first: bool,
        not_before: float,
        first_failed_at: float,
    ) -> None:
        """Note that a record waits, the next one of the log of `home`. Times in epoch seconds."""
        lines = home.hooks.get(hook)
        if lines is None:
            lines = home.hooks[hook] = HookLines()
        if not lines.waiting:
            lines.first_failed_at = first_failed_at
        lines.waiting += 1
        line = self._lines.get(key)
        if line is not None:
            if is_first and source_offset == line.moving:
                line.moving, line.moving_record = NOTHING, None
            if source_offset >= line.written:
                line.written = NOTHING
        if not is_first and (lines.has_later or not self._may_list(lines, line)):
            lines.add_later(offset, key)
            if line is not None:
                self._refresh(line)
            return
        self.has_been_used = True
        if line is None:
            line = self._lines[key] = Line(key, hook, home.number)
        self._list(lines, line)
        if is_first:
            line.moved.append((offset, not_before))
        else:
            line.plain.append(offset)
        self._refresh(line)

    def advance(self, home: Home, hook: str) -> HookLines:
        """The lines of `hook`, as they are now."""
        lines, now = home.hooks[hook], self._clock.now()
        while key := lines.pop_due(now):
            line = self._lines.get(key)
            if line is not None:
                line.timed_at = 0.0
                self._refresh(line)
        while lines.has_later:
            key = lines.later_keys[lines.later_from]
            line = self._lines.get(key)
            if not self._may_list(lines, line):
                break
            offset, key = lines.pop_later()
            if line is None:
                line = self._lines[key] = Line(key, hook, home.number)
            self._list(lines, line)
            line.plain.append(offset)
            self._refresh(line)
        return lines

    def take(self, home: Home, hook: str, offset: int) -> Line:
        """Take the record at `offset` out of its line, whose turn it is."""
        lines = home.hooks[hook]
        line = lines.ready[offset]
        lines.withdraw(line)
        lines.waiting -= 1
        line.take()
        self._unlist(lines, line)
        return line

    def put_back(self, line: Line, tracker: OverflowTracker) -> None:
        """Let the record wait again that was taken last, of `tracker`."""
        home = self.homes.get(line.home)
        if home is None or home.tracker is not tracker:
            return
        lines = home.hooks[line.hook]
        lines.waiting += 1
        line.busy = None
        self._list(lines, line)
        line.put_back()
        self._refresh(line)

    def _may_list(self, lines: HookLines, line: Line | None) -> bool:
        is_listed = line is not None and line.waiting > 0
        return is_listed or lines.listed < self.min_lines or self._listed < self.max_lines

    def _list(self, lines: HookLines, line: Line) -> None:
        if not line.waiting:
            lines.listed += 1
            self._listed += 1

    def _unlist(self, lines: HookLines, line: Line) -> None:
        if not line.waiting:
            lines.listed -= 1
            self._listed -= 1

    def _refresh(self, line: Line) -> None:
        """Note what `line` waits for, and forget it if there is nothing to know."""
        home = self.homes.get(line.home)
        lines = home.hooks.get(line.hook) if home is not None else None
        if lines is not None:
            lines.withdraw(line)
            if line.waiting:
                lines.place(line, self._clock.now())
                return
        if line.is_over and self._lines.get(line.key) is line:
            del self._lines[line.key]

    def lose(self, number: int) -> None:
        """Drop the records that the log of a partition does not hold any more."""
        home = self.homes.get(number)
        if home is None or home.tracker is None:
            return
        waits = home.tracker.waits
        for lines in home.hooks.values():
            lines.lose_later(waits)
        for line in [line for line in self._lines.values() if line.home == number]:
            before = line.waiting
            if not before:
                continue
            lines = home.hooks[line.hook]
            lines.withdraw(line)
            line.moved = [(offset, due) for offset, due in line.moved if waits(offset)]
            kept = [offset for offset in line.plain[line.taken :] if waits(offset)]
            del line.plain[:]
            line.plain.extend(kept)
            line.taken = 0
            lines.waiting -= before - line.waiting
            self._unlist(lines, line)
            self._refresh(line)

    def clear(self, number: int) -> None:
        """Forget what waits in a partition."""
        for line in [line for line in self._lines.values() if line.home == number]:
            if line.waiting:
                self._listed -= 1
            line.moved.clear()
            del line.plain[:]
            line.taken, line.ready_at, line.is_blocked = 0, NOTHING, False
            if not line.direct:
                line.busy, line.out = None, NOTHING
            line.has_strayed = bool(line.pending)
            if not line.pending:
                line.moving, line.moving_record, line.written = NOTHING, None, NOTHING
            self._refresh(line)
