"""Decides when sources wait because this process cannot keep up with what overflowed."""

from typing import Final

_BEHIND_PER_TAKEN: Final = 0.5
"""Deliveries that may go behind for each one that leaves, so that the queue gets shorter."""
_MAX_DEBT: Final = 250.0
"""So many more may go: a poll's worth."""
_HOLD_SECONDS: Final = 0.5
"""Sources wait no longer than this if nothing leaves."""


class CatchUp:
    """The account of deliveries that go behind others in the overflow topic though their endpoint
    is idle: it waits for this process.

    Such a delivery is written and read once more, which costs the time that would bring the earlier
    ones out. At the limit of its CPU a process would never get out of this state (a metastable
    failure, Bronson et al., HotOS 2021). An endpoint that is itself the slow one is not counted, so
    it holds up nobody.
    """

    def __init__(self) -> None:
        self._debt = 0.0
        self._taken_at = 0.0

    def __repr__(self) -> str:
        return f"CatchUp(debt={self._debt}, taken_at={self._taken_at:.3f})"

    def went_behind(self) -> None:
        """Count a delivery that went behind though its endpoint was idle."""
        self._debt += 1.0

    def taken(self, now: float) -> None:
        """Count a delivery that left the overflow topic `now` (monotonic seconds)."""
        self._debt = max(0.0, self._debt - _BEHIND_PER_TAKEN)
        self._taken_at = now

    def holds(self, now: float) -> bool:
        """Whether the sources wait."""
        if self._debt < _MAX_DEBT:
            return False
        if now < self._taken_at + _HOLD_SECONDS:
            return True
        self._debt = 0.0  # nothing leaves: nothing is gained by waiting
        return False
