"""Floating-point numbers of binary formats as JSON has them."""

from math import isfinite
from struct import Struct
from typing import Final

_SINGLE: Final = Struct("<f")


def double(number: float) -> float | str:
    """A double; JSON has no text for infinite ones and NaN but a string (Protobuf's mapping)."""
    if isfinite(number):
        return number
    return "NaN" if number != number else "Infinity" if number > 0 else "-Infinity"  # noqa: PLR0124


def single(number: float) -> float | str:
    """A number of 32 bits, with as few digits as tell it from its neighbours: 0.1, and not
    0.10000000149011612.
    """
    for digits in range(6, 9):
        shorter = float(f"{number:.{digits}g}")
        try:
            if _SINGLE.unpack(_SINGLE.pack(shorter))[0] == number:
                return double(shorter)
        except OverflowError:  # rounded beyond 32 bits
            continue
    return double(number)
