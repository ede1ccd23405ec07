"""The index of one partition of the overflow topic: a queue of offsets for each hook.

A partition is read once from end to end. What cannot be delivered yet stays in Kafka; its offsets
are here, at three bytes a record, so that each hook's next record is found whatever stands before
it. Settled offsets behind an unsettled one go with the commit as text, and are not read again.
"""

from collections.abc import Callable
from typing import Final

from consumer.records.order_line import Line
from consumer.records.record import Record
from consumer.records.settled_runs import MAX_RUNS, Run, format_runs, parse_runs
from consumer.records.tracker import InFlightRecord, OffsetTracker

_WIDTH: Final = 2
"""Bytes of a hook's number."""
MAX_HOOKS: Final = 2 ** (8 * _WIDTH)
_TRIM_RECORDS: Final = 4_096
"""Settled records at the front that leave the index at once."""
_SETTLED: Final = b"\0"
_UNSETTLED: Final = b"\1"


def _ignore(_line: Line, _record: InFlightRecord) -> None:
    """An `on_settled` of a partition without lines."""


class HookQueue:
    """The records of one hook that wait in a partition."""

    __slots__ = ("first_failed_at", "needle", "start", "waiting")

    def __init__(self, number: int) -> None:
        self.needle = number.to_bytes(_WIDTH, "little")
        self.waiting = 0
        self.start = 0
        """No record before this offset waits."""
        self.first_failed_at = 0.0
        """Epoch seconds: no delivery that waits first failed before."""

    def __repr__(self) -> str:
        return f"HookQueue({self.waiting} waiting from {self.start})"


class OverflowTracker(OffsetTracker):
    """One assignment of one partition of the overflow topic.

    `next_offset` is the first offset that is not in the index. Each record before it is settled, in
    flight (`receive` took it) or waiting.
    """

    __slots__ = (
        "_base", "_by_number", "_first", "_numbers", "_old_runs", "_out", "_states", "_text",
        "max_hooks", "on_settled", "ordered", "position", "queues", "taking",
    )  # fmt: skip

    def __init__(self, topic: str, number: int, next_offset: int, settled: str = "") -> None:
        """`settled`: the `settled_text` that was committed with `next_offset`."""
        super().__init__(topic, number, next_offset)
        self._base = self._first = next_offset
        """The offset of the first entry of the index, and the first unsettled one."""
        self._states = bytearray()
        """By offset: `_SETTLED` or `_UNSETTLED`."""
        self._numbers = bytearray()
        """By offset: the number of the record's hook."""
        self.position = next_offset
        """The offset that the consumer reads next."""
        self.queues: dict[str, HookQueue] = {}
        """By hook, of all that have or had records in the index; not to be changed by others."""
        self.ordered: dict[str, HookQueue] = {}
        """The same of those records that are in lines (`order_lines.py`), whose order is not that
        of the log."""
        self.max_hooks = MAX_HOOKS
        self._by_number: list[HookQueue] = []
        self.taking: Line | None = None
        """The line whose record is received next."""
        self._out: dict[int, Line] = {}
        """By offset, the lines whose records are in flight."""
        self.on_settled: Callable[[Line, InFlightRecord], None] = _ignore
        """Told of the settlement of a line's record."""
        self._old_runs = parse_runs(settled, next_offset)[::-1]
        """What an earlier assignment settled beyond `next_offset`, the last run first."""
        self._text: str | None = None
        """`settled_text` as long as nothing has changed."""

    @property
    def span(self) -> int:
        """Number of offsets in the index."""
        return self.next_offset - self._base

    @property
    def progress(self) -> int:
        """See `OffsetTracker.progress`: what waits for its endpoint is no standstill."""
        return self.next_offset

    def lag(self, end: int) -> int:
        """See `OffsetTracker.lag`."""
        return self.waiting + self.unsettled + max(0, end - self.next_offset)

    @property
    def waiting(self) -> int:
        """Number of records that wait."""
        return sum(queue.waiting for queue in self._by_number)

    def may_add(self, hook: str, *, is_ordered: bool) -> bool:
        """Whether a record of `hook` may be indexed: the number of hooks is bounded."""
        return len(self._by_number) < self.max_hooks or hook in self._queues(is_ordered=is_ordered)

    @property
    def is_full(self) -> bool:
        """Whether no other hook's records may be indexed."""
        return len(self._by_number) >= self.max_hooks

    def _queues(self, *, is_ordered: bool) -> dict[str, HookQueue]:
        return self.ordered if is_ordered else self.queues

    @property
    def committable(self) -> int:
        """See `OffsetTracker.committable`."""
        return self._first

    def skip_settled(self) -> None:
        """Skip what an earlier assignment settled at `next_offset`."""
        while self._old_runs and self._old_runs[-1][0] <= self.next_offset:
            self.skip_to(self._old_runs.pop()[1])

    def add(
        self, offset: int, hook: str, first_failed_at: float, *, is_ordered: bool = False
    ) -> None:
        """Index the record at `offset`, the next one of the log: it waits. `first_failed_at`: epoch
        seconds at which its delivery first failed. `is_ordered`: it is in a line.
        """
        self.skip_to(offset)
        queues = self._queues(is_ordered=is_ordered)
        queue = queues.get(hook)
        if queue is None:
            queue = queues[hook] = HookQueue(len(self._by_number))
            self._by_number.append(queue)
        if not queue.waiting:
            queue.start, queue.first_failed_at = offset, first_failed_at
        queue.waiting += 1
        self._states += _UNSETTLED
        self._numbers += queue.needle
        self.next_offset = offset + 1

    def next_of(self, queue: HookQueue) -> int:
        """The offset of the first record that waits in `queue`, which is not empty."""
        at = max(queue.start, self._first)
        at = self._find(queue.needle, at)
        while not self.waits(at):
            at = self._find(queue.needle, at + 1)
        queue.start = at
        return at

    def receive(self, offset: int, record: Record, deliveries: int, now: float) -> InFlightRecord:
        """Take a record that waits; the arguments are those of `OffsetTracker.receive`."""
        queue = self._queue(offset)
        queue.waiting -= 1
        if queue.start == offset:
            queue.start += 1
        taken = self._unsettled[offset] = InFlightRecord(self, offset, record, deliveries, now)
        line = self.taking
        if line is not None:
            self.taking = None
            self._out[offset] = line
            line.busy, line.direct = taken, False
        return taken

    def line_of(self, offset: int) -> Line | None:
        """The line of a record that is in flight, if it was taken as that line's next one."""
        return self._out.get(offset)

    def keep(self, record: Record, now: float) -> None:
        """See `OffsetTracker.keep`."""
        if self.waits(record.offset):
            self.receive(record.offset, record, 1, now)

    def put_back(self, offset: int, first_failed_at: float) -> None:
        """Let a record that `receive` took wait again; see `add`."""
        taken = self._unsettled.pop(offset)
        self._out.pop(offset, None)
        if taken.span is not None:
            taken.span.put_back()
        queue = self._queue(offset)
        if not queue.waiting or offset < queue.start:
            queue.start, queue.first_failed_at = offset, first_failed_at
        queue.waiting += 1

    def skip(self, offset: int) -> None:
        """See `OffsetTracker.skip`."""
        self.skip_to(offset + 1)

    def skip_to(self, offset: int) -> None:
        """See `OffsetTracker.skip_to`."""
        if offset <= self.next_offset:
            return
        if self._first == self.next_offset:
            self._first = self._base = offset  # the index is empty
        else:
            self._states += bytes(offset - self.next_offset)
            self._numbers += bytes(_WIDTH * (offset - self.next_offset))
        if self.position == self.next_offset:
            self.position = offset
        self.next_offset = offset
        self._text = None

    def settle(self, offset: int) -> None:
        """See `OffsetTracker.settle`."""
        settled = self._unsettled.pop(offset)
        self._settle(offset)
        line = self._out.pop(offset, None)
        if line is not None:
            self.on_settled(line, settled)

    def lose(self, start: int, end: int) -> int:
        """Settle what waits from `start` to `end` (exclusive): the log does not hold it any more.
        Returns the number of records.
        """
        lost, offset = 0, max(start, self._first)
        while offset < min(end, self.next_offset):
            if self.waits(offset):
                self._queue(offset).waiting -= 1
                self._settle(offset)
                lost += 1
            found = self._states.find(_UNSETTLED, offset + 1 - self._base)
            offset = self._base + found if found >= 0 else end
        return lost

    def _settle(self, offset: int) -> None:
        index = offset - self._base
        self._states[index] = 0
        self._text = None
        if offset == self._first:
            found = self._states.find(_UNSETTLED, index)
            self._first = self.next_offset if found < 0 else self._base + found
            self._trim()

    @property
    def settled_text(self) -> str:
        """What is settled beyond `committable`, for the commit's metadata."""
        if self._text is None:
            runs, old = self._runs(), self._old_runs[::-1]
            if runs and old and runs[-1][1] == old[0][0]:
                runs[-1] = (runs[-1][0], old.pop(0)[1])
            self._text = format_runs(runs + old, self._first)
        return self._text

    def _runs(self) -> list[Run]:
        runs, states, base = list[Run](), self._states, self._base
        start = states.find(_SETTLED, self._first - base)
        while start >= 0 and len(runs) < MAX_RUNS:
            end = states.find(_UNSETTLED, start)
            if end < 0:
                runs.append((base + start, self.next_offset))
                break
            runs.append((base + start, base + end))
            start = states.find(_SETTLED, end)
        return runs

    def _trim(self) -> None:
        """Drop the settled entries at the front; of an index of these only, the hooks as well."""
        if self._first == self.next_offset:
            self._states.clear()
            self._numbers.clear()
            self.queues.clear()
            self.ordered.clear()
            self._by_number.clear()
        elif self._first - self._base < _TRIM_RECORDS:
            return
        else:
            del self._states[: self._first - self._base]
            del self._numbers[: _WIDTH * (self._first - self._base)]
        self._base = self._first

    def _queue(self, offset: int) -> HookQueue:
        at = _WIDTH * (offset - self._base)
        return self._by_number[int.from_bytes(self._numbers[at : at + _WIDTH], "little")]

    def waits(self, offset: int) -> bool:
        """Whether the record at `offset`, which is in the index, waits."""
        index = offset - self._base
        return index >= 0 and self._states[index] == 1 and offset not in self._unsettled

    def _find(self, needle: bytes, offset: int) -> int:
        """The first offset from `offset` on whose record is of the hook with that number."""
        at = self._numbers.index(needle, _WIDTH * (offset - self._base))
        while at % _WIDTH:  # the end of one number and the beginning of the next
            at = self._numbers.index(needle, at + 1)
        return self._base + at // _WIDTH
