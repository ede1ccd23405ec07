"""Decides when sources wait because this process cannot keep up with what overflowed."""

from typing import Final

_BEHIND_PER_TAKEN: Final = 0.5
"""Deliveries that may go behind for each one that leaves, so that the queue gets shorter."""
_MAX_DEBT: Final = 250.0
"""So many more may go: a poll's worth."""
_HOLD_SECONDS: Final = 0.5
"""Sources wait no longer than this if nothing leaves."""


class CatchUp:
    """The account of deliveries that go behind others in the overflow topic though all of them wait
    for this process, which is short of CPU.

    Such a delivery is written and read once more, which costs the time that would bring the earlier
    ones out: the process might never get out of this state (a metastable failure, Bronson et al.,
    HotOS 2021). If an endpoint is the slow one there is time to spare, and it holds up no other.
    """

    def __init__(self) -> None:
        self._debt = 0.0
        self._taken_at = 0.0

    def __repr__(self) -> str:
        return f"CatchUp(debt={self._debt}, taken_at={self._taken_at:.3f})"

    def went_behind(self) -> None:
        """Count a delivery that went behind for want of CPU."""
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
