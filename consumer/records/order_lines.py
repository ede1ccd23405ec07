"""All lines of ordered deliveries that this process knows of, and which of them may go on."""

from collections.abc import Callable, Mapping

from consumer.clock import Clock
from consumer.records.line_table import UNKNOWN_END, Home, LineTable
from consumer.records.order_line import NOTHING, Line
from consumer.records.overflow_tracker import OverflowTracker
from consumer.records.tracker import InFlightRecord


class OrderLines(LineTable):
    """Keeps the rules by which the first successes of each line are in the order of its source.

    1. What waits in a line's home, a partition of the overflow topic, is sent by its owner only.
    2. A new delivery is sent directly, without a write, only by that owner, if nothing of the line
       waits, is on its way to the log, or may be in the part of the log that is not indexed.
    3. What comes behind a direct one waits in memory, and is written only behind it.
    4. Of a line's records the one whose turn had come goes first, then those before in the log.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.partitions = 1
        """Partitions of the overflow topic."""
        self.go_on: Callable[[Line], None] = lambda _line: None
        """Called when no delivery of a line is under way any more: its followers are next."""
        self.crowded: set[str] = set()
        """Hooks whose endpoints lately took none of what waits for them."""

    def home_of(self, source_partition: int) -> int:
        """The partition of the overflow topic in which deliveries of a source partition wait."""
        return source_partition % self.partitions

    def line(self, key: int, hook: str, home: int) -> Line:
        """The line with this key, made if need be, whose deliveries wait in `home`."""
        line = self._lines.get(key)
        if line is None:
            self.has_been_used = True
            line = self._lines[key] = Line(key, hook, home)
        return line

    # What may be sent.

    def may_begin(self, line: Line) -> bool:
        """Whether a new delivery of `line` may be submitted directly."""
        if line.waiting or line.is_busy or line.followers or line.pending:
            return False
        if line.written != NOTHING or not self.may_go_on(line):
            return False
        home = self.homes[line.home]
        lines = home.hooks.get(line.hook)
        return home.is_sure and (lines is None or not lines.has_later)

    def may_go_on(self, line: Line) -> bool:
        """Whether the next follower of `line` may be submitted directly."""
        if line.moving != NOTHING:
            return False
        return line.home in self.homes

    def begin(self, line: Line, record: InFlightRecord) -> None:
        """Note that a delivery of `record` was submitted directly."""
        line.busy, line.direct = record, True

    # What becomes of it.

    def end(self, key: int, record: InFlightRecord) -> None:
        """Note that a delivery of `record` is settled: delivered or dead-lettered."""
        line = self._lines.get(key)
        if line is None:
            return
        offset = record.record.offset
        if record in line.pending:  # too large to be written, it is a dead letter
            line.pending.remove(record)
            if line.moving == offset:
                line.moving, line.moving_record = NOTHING, None
            if line.written == offset:
                line.written = NOTHING
            self._check_strayed(line)
        if line.direct and line.busy is record:
            line.busy, line.direct = None, False
        self._go_on(line)

    def write(self, line: Line, record: InFlightRecord, *, is_first: bool) -> None:
        """Note that a delivery of `record` is handed to the outbox."""
        line.pending.append(record)
        offset = record.record.offset
        if not is_first:
            line.written = offset
            self._refresh(line)
            return
        line.moving, line.moving_record = offset, record
        if line.direct and line.busy is record:
            line.busy, line.direct = None, False
        self._go_on(line)

    def acknowledged(self, key: int, record: InFlightRecord) -> None:
        """Note that the broker has a delivery that was written."""
        line = self._lines.get(key)
        if line is None or record not in line.pending:
            return
        line.pending.remove(record)
        self._check_strayed(line)
        self._refresh(line)

    def _check_strayed(self, line: Line) -> None:
        """Once all that was written is in the log, its end tells what is to be indexed first; what
        is settled there by now is expected no more.
        """
        home = self.homes.get(line.home)
        if line.pending or (home is not None and not line.has_strayed):
            return
        line.moving, line.moving_record, line.written = NOTHING, None, NOTHING
        line.has_strayed = False
        if home is not None:
            self.doubt(home)

    def settled(self, line: Line, record: InFlightRecord) -> None:
        """Note that a record of the overflow topic, which was the line's turn, is settled."""
        if line.busy is record:
            line.busy, line.out = None, NOTHING
            self._go_on(line)

    def _go_on(self, line: Line) -> None:
        if not line.is_busy:
            self.go_on(line)
        self._refresh(line)

    # Partitions come and go.

    def assign(self, numbers: set[int], partitions: int) -> None:
        """Note which partitions of the overflow topic, of so many, are assigned."""
        if partitions:  # otherwise the cluster is not known yet
            self.partitions = partitions
        for number in numbers:
            self.homes.setdefault(number, Home(number))
        for number, home in list(self.homes.items()):
            if number not in numbers and home.tracker is None:
                self.revoke(number)

    def begun(self, tracker: OverflowTracker) -> None:
        """Note that a partition is read from its position on, by `tracker`."""
        home = self.homes.setdefault(tracker.number, Home(tracker.number))
        if home.tracker is not tracker:
            self.clear(tracker.number)
            home.hooks.clear()
            home.tracker = tracker
            tracker.on_settled = self.settled
            self.doubt(home)

    def doubt(self, home: Home) -> None:
        """Note that others may have written to `home` before this process had a source partition
        of it: nothing of it is sent until its end, as of now, is indexed.
        """
        home.barrier = UNKNOWN_END
        home.asked += 1

    def doubt_home(self, source_partition: int) -> None:
        """Note that a source partition was assigned."""
        home = self.homes.get(self.home_of(source_partition))
        if home is not None:
            self.doubt(home)

    def unsure(self) -> Mapping[int, int]:
        """The partitions without a barrier, and how often each was asked for."""
        return {
            number: home.asked
            for number, home in self.homes.items()
            if home.barrier == UNKNOWN_END and home.tracker is not None
        }

    def set_end(self, number: int, end: int, asked: int) -> None:
        """Note the end of a partition, as `unsure` has asked for it."""
        home = self.homes.get(number)
        if home is not None and home.asked == asked:
            home.barrier = end

    def revoke(self, number: int) -> None:
        """Forget a partition: another member may have it."""
        if self.homes.pop(number, None) is not None:
            self.clear(number)

    def sweep(self) -> None:
        """Forget what belonged to source partitions that another member may have by now."""
        for line in list(self._lines.values()):
            if line.busy is not None and line.busy.revoked:
                line.busy, line.direct, line.out = None, False, NOTHING
            if any(record.revoked for record in line.pending):
                line.pending = [record for record in line.pending if not record.revoked]
                if not line.pending:
                    line.written = NOTHING
            moving = line.moving_record
            if moving is not None and moving.revoked:
                line.moving, line.moving_record = NOTHING, None
            if line.has_strayed:
                self._check_strayed(line)
            self._go_on(line)

    def expect_nothing(self, number: int) -> None:
        """Note that a partition was read to its end long after the last record was written."""
        for line in [line for line in self._lines.values() if line.home == number]:
            if not line.pending and (line.moving != NOTHING or line.written != NOTHING):
                line.moving, line.moving_record, line.written = NOTHING, None, NOTHING
                self._refresh(line)
