"""How far a replay went through one partition: text beside a committed offset."""

import re
from dataclasses import dataclass
from typing import Self

_TEXT = re.compile(r"sent=([0-9]{1,19}) done=((?:[0-9]{1,19}-[0-9]{1,19}(?:,(?!$)|$))*)")
_KEPT = 50
"""Ranges; Kafka keeps 4,096 bytes of metadata with an offset. More than a few come only from
many runs that each go back further than the one before and stop at a limit."""

Range = tuple[int, int]
"""From the first offset to behind the last."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Which offsets were gone through, and how many of their records were sent.

    More than one range comes from replays that started at a time: what is older waits.
    """

    done: tuple[Range, ...] = ()
    """Ascending, and none touches another."""
    sent: int = 0

    @property
    def offset(self) -> int:
        """Behind the last one done: what Kafka's own tools show."""
        return self.done[-1][1] if self.done else 0

    def covers(self, offset: int) -> bool:
        """Whether the record at `offset` was gone through."""
        return any(first <= offset < end for first, end in self.done)

    def first_unsent(self, start: int) -> int:
        """The first offset from `start` on that was not gone through."""
        return next((end for first, end in self.done if first <= start < end), start)

    def extended(self, first: int, end: int, sent: int) -> Self:
        """With `first` to `end` gone through, and `sent` more records sent."""
        apart = [other for other in self.done if other[1] < first or other[0] > end]
        touching = [other for other in self.done if other not in apart]
        merged = (
            min([first, *(other[0] for other in touching)]),
            max([end, *(other[1] for other in touching)]),
        )
        ranges = sorted([*apart, merged] if merged[0] < merged[1] else apart)
        # The oldest is forgotten first: its records may go out again, and none is left out.
        return type(self)(tuple(ranges[-_KEPT:]), self.sent + sent)

    def __str__(self) -> str:
        return f"sent={self.sent} done=" + ",".join(f"{first}-{end}" for first, end in self.done)

    @classmethod
    def parse(cls, offset: int, text: str) -> Self:
        """What `str` wrote beside the committed `offset`.

        Where somebody moved the offset with Kafka's tools, that person's word counts: everything
        before it is done.
        """
        match = _TEXT.fullmatch(text)
        if match is not None:
            pairs = (part.split("-") for part in match[2].split(",") if part)
            found = cls(tuple((int(first), int(end)) for first, end in pairs), int(match[1]))
            if found.offset == offset:
                return found
        return cls(((0, offset),) if offset > 0 else ())
