"""Progress of a replay in one partition, stored in the metadata of a committed offset."""

import re
from dataclasses import dataclass
from typing import Self

_TEXT_PATTERN = re.compile(r"sent=([0-9]{1,19}) done=((?:[0-9]{1,19}-[0-9]{1,19}(?:,(?!$)|$))*)")
_MAX_RANGES = 50
"""Kafka stores 4,096 bytes of metadata with an offset. More than a few ranges come only from many
runs that each start earlier than the one before and stop at a limit."""

Range = tuple[int, int]
"""The first offset, and the one after the last."""


@dataclass(frozen=True, slots=True)
class Progress:
    """The processed offsets, and the number of their records that were sent.

    Replays with a start time leave older records for later, hence several ranges.
    """

    done: tuple[Range, ...] = ()
    """Ascending, disjoint and not adjacent."""
    sent: int = 0

    @property
    def offset(self) -> int:
        """The offset after the last processed one, as shown by Kafka's own tools."""
        return self.done[-1][1] if self.done else 0

    def covers(self, offset: int) -> bool:
        """Whether the record at `offset` was processed."""
        return any(first <= offset < end for first, end in self.done)

    def first_unsent(self, start: int) -> int:
        """The first offset from `start` on that was not processed."""
        return next((end for first, end in self.done if first <= start < end), start)

    def extended(self, first: int, end: int, sent: int) -> Self:
        """A copy with `first` to `end` (exclusive) processed, and `sent` more records sent."""
        apart = [other for other in self.done if other[1] < first or other[0] > end]
        touching = [other for other in self.done if other not in apart]
        merged = (
            min([first, *(other[0] for other in touching)]),
            max([end, *(other[1] for other in touching)]),
        )
        ranges = sorted([*apart, merged] if merged[0] < merged[1] else apart)
        # The oldest range is dropped first: its records may be sent again (at-least-once).
        return type(self)(tuple(ranges[-_MAX_RANGES:]), self.sent + sent)

    def __str__(self) -> str:
        return f"sent={self.sent} done=" + ",".join(f"{first}-{end}" for first, end in self.done)

    @classmethod
    def parse(cls, offset: int, text: str) -> Self:
        """Parse the text that `str` wrote, committed with `offset`.

        If the offset was moved with Kafka's tools, it takes precedence: everything before it counts
        as processed.
        """
        match = _TEXT_PATTERN.fullmatch(text)
        if match is not None:
            pairs = (part.split("-") for part in match[2].split(",") if part)
            found = cls(tuple((int(first), int(end)) for first, end in pairs), int(match[1]))
            if found.offset == offset:
                return found
        return cls(((0, offset),) if offset > 0 else ())
