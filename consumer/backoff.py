"""Exponential backoff."""

from typing import Final

_MAX_DOUBLINGS: Final = 10
"""Keeps the power within a float's range: every pause is at its longest by then."""


def doubled(failures: int, first: float, longest: float) -> float:
    """Seconds of a pause after `failures` in a row (at least 1), before jitter: `first`, doubled
    with each further one.
    """
    return min(longest, first * 2.0 ** min(failures - 1, _MAX_DOUBLINGS))
