"""The overflow reader's dealings with lines: ordered deliveries, whose turn is not their place."""

from consumer.records.headers import (
    FIRST_FAILED_AT,
    NOT_BEFORE,
    SOURCE,
    UNKNOWN_SINCE,
    last_value,
    read_number,
)
from consumer.records.line_table import Home
from consumer.records.order_line import NOTHING, parse_order
from consumer.records.order_lines import OrderLines
from consumer.records.overflow_tracker import OverflowTracker
from consumer.records.record import Record

_MAX_DELAY_SECONDS = 7 * 86_400.0
"""After this time a record may go on whatever its headers say: more than any retry delay."""


class OverflowLines:
    """Finds the records whose lines may go on, in the partitions that are read."""

    def __init__(self, lines: OrderLines) -> None:
        self._lines = lines
        self._index_next = False
        self.move = False
        """Whether a record waits only for the delivery before it in its line."""

    def advance(self, oldest: dict[str, float]) -> set[str]:
        """The hooks with lines that may go on. Their oldest failures are put in `oldest` (epoch
        seconds, by hook).
        """
        ready = set[str]()
        self.move = False
        for home in self._lines.homes.values():
            for hook, lines in home.hooks.items():
                if not lines.waiting:
                    continue
                self._lines.advance(home, hook)
                self.move = self.move or lines.blocked > 0
                if lines.ready and home.is_sure:
                    ready.add(hook)
                    known = oldest.get(hook, lines.first_failed_at)
                    oldest[hook] = min(known, lines.first_failed_at)
        self._lines.crowded.intersection_update(ready)
        return ready

    def note_room(self, hook: str, *, has_room: bool) -> None:
        """Note whether the endpoint of a hook with lines that may go on takes any of them."""
        if has_room:
            self._lines.crowded.discard(hook)
        else:
            self._lines.crowded.add(hook)

    def home(self, tracker: OverflowTracker) -> Home | None:
        """What is known of the partition that `tracker` reads; None if it is another's by now."""
        home = self._lines.homes.get(tracker.number)
        return home if home is not None and home.tracker is tracker else None

    def must_index(self, tracker: OverflowTracker) -> bool:
        """Whether lines wait for more of the log to be in the index: they go on only behind the
        barrier, and an index that is full before it would never empty.
        """
        home = self.home(tracker)
        return home is not None and self._lines.has_been_used and not home.is_sure

    def target(
        self, tracker: OverflowTracker, hooks: dict[str, int], target: int | None
    ) -> int | None:
        """The offset to read next: `target`, or a record before it whose line may go on, of the
        `hooks` with room. None: the index goes on.
        """
        home = self.home(tracker)
        if home is None or not home.hooks:
            return target
        if not home.is_sure:
            # Every other time, since nothing of a line is sent before.
            self._index_next = not self._index_next
            return None if self._index_next else target
        for hook in hooks:
            lines = home.hooks.get(hook)
            if lines is not None and (first := lines.first()) != NOTHING:
                target = first if target is None else min(target, first)
        return target

    def index(self, tracker: OverflowTracker, record: Record, hook: str, order: bytes) -> bool:
        """Index a record with the header `order`, the next one of the log. Returns False, and does
        nothing, if the headers are another program's.
        """
        home = self.home(tracker)
        try:
            key, is_first = parse_order(order.decode())
            source_offset = int((last_value(record.headers, SOURCE) or b"").rsplit(b"/", 1)[-1])
            not_before = read_number((last_value(record.headers, NOT_BEFORE) or b"0").decode())
        except ValueError:
            return False
        line = self._lines.get(key)
        if home is None or (line is not None and line.home != home.number):
            return False
        failed_at = first_failed_at(record)
        tracker.add(record.offset, hook, failed_at, is_ordered=True)
        self._lines.index(
            home,
            hook,
            key,
            record.offset,
            source_offset=source_offset,
            is_first=is_first,
            not_before=min(not_before, record.timestamp / 1000 + _MAX_DELAY_SECONDS),
            first_failed_at=failed_at,
        )
        if last_value(record.headers, UNKNOWN_SINCE) is None:
            home.hooks[hook].known_at = record.timestamp / 1000
        return True


def first_failed_at(record: Record) -> float:
    """Epoch seconds at which the delivery first failed; those of the record if it does not say."""
    value = last_value(record.headers, FIRST_FAILED_AT)
    try:
        return read_number(value.decode()) if value is not None else record.timestamp / 1000
    except ValueError:
        return record.timestamp / 1000
