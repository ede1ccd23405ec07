"""The deliveries of one user to one hook, which are sent one after the other, and what of them
waits in one partition of the overflow topic.
"""

from array import array
from collections.abc import Callable
from hashlib import blake2b
from heapq import heappop, heappush
from typing import Final

from consumer.records.tracker import InFlightRecord

NOTHING: Final = -1
"""In place of an offset."""
_KEY_BYTES: Final = 8
_KEY_DIGITS: Final = 2 * _KEY_BYTES
_FIRST: Final = " first"
_TRIM: Final = 256
"""Taken offsets at the front of a line that are dropped at once."""


def line_key(hook: str, topic: str, partition: int, home: int, user: str) -> int:
    """The number of a line: a hash, so that a record's header holds nothing of the user. Events of
    a user in another source partition are another line, and so are those that wait in another
    `home`, since the overflow topic got more partitions.
    """
    text = "\0".join((hook, topic, str(partition), str(home), user))
    digest = blake2b(text.encode(errors="surrogatepass"), digest_size=_KEY_BYTES).digest()
    return int.from_bytes(digest, "big") or 1


def order_text(key: int, *, is_first: bool) -> str:
    """The header `hookstream-order` of a delivery; "" for key 0, which is none.

    `is_first`: its turn had come, so it goes before those of its line that stand before it.
    """
    if not key:
        return ""
    return f"{key:016x}{_FIRST if is_first else ''}"


def parse_order(text: str) -> tuple[int, bool]:
    """Key and `is_first` of a header; raises `ValueError` for another program's."""
    is_first = text.endswith(_FIRST)
    digits = text.removesuffix(_FIRST)
    if len(digits) != _KEY_DIGITS:
        raise ValueError
    return int(digits, 16), is_first


class Line:
    """The deliveries of one user to one hook, from one source partition.

    At most one of them is `busy`. The others wait in memory behind a `direct` one, which is in no
    log of ours, or in the overflow topic; never in both, but for repeated records.
    """

    __slots__ = (
        "busy", "direct", "followers", "has_strayed", "home", "hook", "is_blocked", "key", "moved",
        "moving", "moving_record", "out", "out_is_first", "pending", "plain", "ready_at", "taken",
        "timed_at", "written",
    )  # fmt: skip

    def __init__(self, key: int, hook: str, home: int) -> None:
        self.key = key
        self.hook = hook
        self.home = home
        """The partition of the overflow topic in which its deliveries wait."""
        self.busy: InFlightRecord | None = None
        """The record of the delivery that was submitted and is not settled."""
        self.direct = False
        """Whether `busy` is no record of the overflow topic."""
        self.followers = 0
        """Deliveries that wait in memory."""
        self.plain: array[int] = array("q")
        """Offsets that wait in the overflow topic, in order; `taken` of them wait no more."""
        self.taken = 0
        self.moved: list[tuple[int, float]] = []
        """Offsets of those that go first, each with the epoch seconds before which it may not."""
        self.out = NOTHING
        """The offset of `busy` in the overflow topic."""
        self.out_is_first = False
        self.moving = NOTHING
        """The source offset of the one that goes first and is on its way to the log."""
        self.moving_record: InFlightRecord | None = None
        self.written = NOTHING
        """The source offset of the last of the others that are on their way to the log."""
        self.pending: list[InFlightRecord] = []
        """The records of those that are not acknowledged."""
        self.has_strayed = False
        """Whether `home` began anew, or is another member's, since one of them was handed to the
        outbox: whoever had the home may have settled it by now, and then it is not read here.
        """
        self.ready_at = NOTHING
        """The offset under which it is in `HookLines.ready`."""
        self.timed_at = 0.0
        self.is_blocked = False

    def __repr__(self) -> str:
        return (
            f"Line({self.key:016x}, {self.hook!r}, home={self.home}, busy={self.busy}, "
            f"direct={self.direct}, followers={self.followers}, waiting={self.waiting}, "
            f"moving={self.moving}, written={self.written}, pending={len(self.pending)})"
        )

    @property
    def is_busy(self) -> bool:
        """Whether a delivery is under way; one whose assignment has ended is another member's."""
        busy = self.busy
        return busy is not None and not busy.revoked

    @property
    def waiting(self) -> int:
        """Number of records that wait in the overflow topic, as far as they are listed here."""
        return len(self.moved) + len(self.plain) - self.taken

    @property
    def is_over(self) -> bool:
        """Whether nothing is known of it that a new line would not know."""
        return not (
            self.is_busy
            or self.followers
            or self.waiting
            or self.pending
            or self.moving != NOTHING
            or self.written != NOTHING
        )

    def take(self) -> None:
        """Take the next record that waits."""
        if self.moved:
            self.out, self.out_is_first = self.moved.pop(0)[0], True
            return
        self.out, self.out_is_first = self.plain[self.taken], False
        self.taken += 1
        if self.taken >= _TRIM:
            del self.plain[: self.taken]
            self.taken = 0

    def put_back(self) -> None:
        """Let the record that was taken wait again, where it was."""
        if self.out_is_first:
            self.moved.insert(0, (self.out, 0.0))
        elif self.taken:
            self.taken -= 1
        else:
            self.plain.insert(0, self.out)
        self.out = NOTHING


class HookLines:
    """The lines of one hook with records in one partition of the overflow topic.

    Few lines are listed if many users wait: of the others only offsets and keys are kept, in the
    order of the log, and no line that may be among them is overtaken.
    """

    __slots__ = (
        "_heap", "_in_heap", "_timers", "blocked", "first_failed_at", "known_at", "later",
        "later_from", "later_keys", "listed", "ready", "waiting",
    )  # fmt: skip

    def __init__(self) -> None:
        self.listed = 0
        """Lines with records that wait."""
        self.waiting = 0
        """Records that wait, listed or not."""
        self.blocked = 0
        """Lines that wait for their own delivery before."""
        self.first_failed_at = 0.0
        """Epoch seconds: no delivery that waits first failed before."""
        self.known_at = 0.0
        """Epoch seconds at which a replica that knows the hook wrote the last of its records."""
        self.later: array[int] = array("q")
        self.later_keys: array[int] = array("Q")
        """Offsets and keys of records that are not listed; those before `later_from` are."""
        self.later_from = 0
        self.ready: dict[int, Line] = {}
        """By the offset of their next record, the lines that wait for nothing but the endpoint."""
        self._heap: list[int] = []
        self._in_heap: set[int] = set()
        """Its offsets: a line is placed again with each of its records."""
        self._timers: list[tuple[float, int]] = []

    def __repr__(self) -> str:
        return (
            f"HookLines({self.waiting} waiting, {self.listed} listed, {len(self.ready)} ready, "
            f"{self.blocked} blocked)"
        )

    @property
    def has_later(self) -> bool:
        """Whether records wait that are in no line."""
        return self.later_from < len(self.later)

    def add_later(self, offset: int, key: int) -> None:
        """Keep a record that is in no line."""
        self.later.append(offset)
        self.later_keys.append(key)

    def pop_later(self) -> tuple[int, int]:
        """Take the first of them: offset and key."""
        at = self.later_from
        found = self.later[at], self.later_keys[at]
        self.later_from = at + 1
        if self.later_from >= _TRIM and 2 * self.later_from >= len(self.later):
            del self.later[: self.later_from]
            del self.later_keys[: self.later_from]
            self.later_from = 0
        return found

    def lose_later(self, waits: Callable[[int], bool]) -> None:
        """Drop the records that are in no line and do not wait any more."""
        kept = [at for at in range(self.later_from, len(self.later)) if waits(self.later[at])]
        self.waiting -= len(self.later) - self.later_from - len(kept)
        self.later = array("q", [self.later[at] for at in kept])
        self.later_keys = array("Q", [self.later_keys[at] for at in kept])
        self.later_from = 0

    def first(self) -> int:
        """The lowest offset in `ready`, or `NOTHING`."""
        heap = self._heap
        while heap and heap[0] not in self.ready:
            self._in_heap.discard(heappop(heap))
        return heap[0] if heap else NOTHING

    def withdraw(self, line: Line) -> None:
        """Count `line` neither as ready nor as blocked."""
        if line.ready_at != NOTHING:
            del self.ready[line.ready_at]
            line.ready_at = NOTHING
        if line.is_blocked:
            self.blocked -= 1
            line.is_blocked = False

    def place(self, line: Line, now: float) -> None:
        """Note what `line`, in which records wait, waits for `now` (epoch seconds)."""
        if line.is_busy or line.moving != NOTHING:
            line.is_blocked = True
            self.blocked += 1
            return
        if line.moved:
            offset, due = line.moved[0]
            if due > now:
                if line.timed_at != due:
                    line.timed_at = due
                    heappush(self._timers, (due, line.key))
                return
        else:
            offset = line.plain[line.taken]
        line.ready_at = offset
        self.ready[offset] = line
        if offset not in self._in_heap:
            self._in_heap.add(offset)
            heappush(self._heap, offset)

    def pop_due(self, now: float) -> int:
        """The key of a line whose time has come, or 0."""
        if self._timers and self._timers[0][0] <= now:
            return heappop(self._timers)[1]
        return 0
