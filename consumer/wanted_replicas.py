"""Decides how many replicas the work wants that could be done now; pure, time is passed in.

Each replica tells its own share, and a scaler adds the shares up. Work that is not due, limited by
a rate or behind an open circuit waits in own topics without costing anything, and is not asked
about. What retries and the overflow topic bring counts by the time that it takes, never by its
number.
"""

from collections import deque
from dataclasses import dataclass
from math import exp
from typing import Final

TARGET_BUSY: Final = 0.7
"""Share of a replica's time that events may take; the rest is for retries, bursts and rebalances.
"""
DRAIN_SECONDS: Final = 180.0
"""Time in which the events that wait unread are to be worked off."""
MAX_GROWTH: Final = 4.0
"""A replica that has no time to spare asks for so many times what it is, at most."""
FULLY_BUSY: Final = 0.9
"""Share of its time from which on a replica has none to spare."""
SMOOTHING_SECONDS: Final = 20.0
"""Time constant of the share's moving average: a burst of a few seconds starts no replica."""
HOLD_SECONDS: Final = 900.0
"""Time for which the highest share counts: the next burst often follows within minutes, and each
change of the number is a rebalance."""
START_SECONDS: Final = 60.0
"""Time after an assignment to a replica without any in which it has no sure share yet."""
_RATE_SECONDS: Final = 15.0
"""Time constant of the moving averages of rates."""
_COST_SECONDS: Final = 120.0
"""Time constant of the moving average of a record's cost: the hooks that match decide on it."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a replica did and saw since its last look, `seconds` long."""

    seconds: float
    busy: float
    """Share of the time in which the replica could do nothing else, in [0, 1]."""
    taken: int
    """Records that were taken from source topics."""
    arrived: int
    """Records that came to the replica's partitions of source topics."""
    deferred: int
    """Records that were taken from retry topics and the overflow topic."""
    unread: int
    """Records of source topics that could be taken and are not."""
    partitions: int
    """Number of the replica's partitions of source topics."""


class WantedReplicas:
    """One replica's share of the wanted number, from `Look`s at it.

    The share is kept for each source partition: after a rebalance the new owners' shares add up to
    what the old ones' did, however slowly a share falls.
    """

    def __init__(self) -> None:
        self._seconds = self._busy = self._arrived = self._deferred = 0.0
        self._weighed_busy = self._weighed_records = 0.0
        self._age = 0.0
        """Seconds since the first partition was assigned, or one after a time without any."""
        self._partitions = 0
        self._average_share = 0.0
        """For each partition, as those in `_highest`."""
        self._highest: deque[tuple[float, float]] = deque()
        """Age and share of the highest one in `HOLD_SECONDS`, of the highest one since then, and so
        on: each is lower than those before it."""

    def __repr__(self) -> str:
        return f"WantedReplicas({self.value:.3f}, partitions={self._partitions})"

    @property
    def value(self) -> float:
        """The share; 0.0 without a partition of a source topic."""
        return self._highest[0][1] * self._partitions if self._highest else 0.0

    def note(self, look: Look) -> None:
        """Take a look into account."""
        self._note_rates(look)
        self._note_partitions(look)
        if not look.partitions:
            return
        # A partition is never shared: beyond one replica for each, more would have nothing to do.
        share = min(1.0, self._wanted(look.unread) / look.partitions)
        fade = exp(-look.seconds / SMOOTHING_SECONDS)
        self._average_share = self._average_share * fade + share * (1.0 - fade)
        self._hold(self._average_share)

    def _hold(self, share: float) -> None:
        highest = self._highest
        while highest and highest[-1][1] <= share:
            highest.pop()
        highest.append((self._age, share))
        while highest[0][0] < self._age - HOLD_SECONDS:
            highest.popleft()

    def _note_rates(self, look: Look) -> None:
        fade = exp(-look.seconds / _RATE_SECONDS)
        self._seconds = self._seconds * fade + look.seconds
        self._busy = self._busy * fade + look.busy * look.seconds
        self._arrived = self._arrived * fade + look.arrived
        self._deferred = self._deferred * fade + look.deferred
        # Weighed by the load: what an idle process does for itself is no record's cost.
        fade = exp(-look.seconds / _COST_SECONDS)
        self._weighed_busy = self._weighed_busy * fade + look.busy**2 * look.seconds
        self._weighed_records = self._weighed_records * fade + look.busy * (
            look.taken + look.deferred
        )

    def _note_partitions(self, look: Look) -> None:
        """Keep the share of each partition at a rebalance. A new replica's is one in all, as an
        average replica's is, until it knows better.
        """
        number, before, value = look.partitions, self._partitions, self.value
        self._age += look.seconds
        self._partitions = number
        if not number:
            self._highest.clear()
            self._age = 0.0
        elif number != before and self._age <= START_SECONDS:  # they come by and by
            self._highest.clear()
            self._average_share = (value or 1.0) / number
            self._hold(self._average_share)

    def _wanted(self, unread: int) -> float:
        """Replicas that this one's work wants now."""
        if not self._seconds:
            return 0.0
        busy = self._busy / self._seconds
        arriving, deferred = self._arrived / self._seconds, self._deferred / self._seconds
        if not self._weighed_records:
            return min(busy / TARGET_BUSY, 1.0)
        cost = self._weighed_busy / self._weighed_records
        # Deferred records keep a replica at work, and never ask for another one: they come as fast
        # as they are taken, so the more replicas there were, the more would be wanted.
        wanted = cost * ((arriving + unread / DRAIN_SECONDS) / TARGET_BUSY + deferred)
        return min(wanted, most_wanted(busy))


def most_wanted(busy: float) -> float:
    """The most that a replica asks for by the share of its time that is `busy`. If it has time to
    spare, its lag has another reason than a want of replicas, and more of them would not help.
    """
    over = min(1.0, max(0.0, (busy - TARGET_BUSY) / (FULLY_BUSY - TARGET_BUSY)))
    return busy / TARGET_BUSY * (1.0 + (MAX_GROWTH - 1.0) * over)
