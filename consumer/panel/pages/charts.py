"""The geometry of charts: paths and places in the units of an SVG's own box; it is pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import floor, log10
from typing import Final

_GAP: Final = 0.2
"""Of a bar's place, what stays empty."""
_NICE: Final = (1.0, 2.0, 2.5, 5.0, 10.0)
_TICKS: Final = 4
_MAX_LABELS: Final = 6
_MIN_HEIGHT: Final = 1.0
"""Of a part that is not 0: a single failure among thousands is to be seen."""


@dataclass(frozen=True, slots=True)
class Box:
    """The place of a plot in its picture."""

    left: float
    top: float
    width: float
    height: float

    @property
    def bottom(self) -> float:
        """The line on which the plot stands."""
        return self.top + self.height

    @property
    def right(self) -> float:
        """Its right edge."""
        return self.left + self.width


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark of an axis."""

    at: float
    value: float


@dataclass(frozen=True, slots=True)
class Chart:
    """What is drawn: a path for each series, and the axes."""

    box: Box
    paths: Sequence[str]
    """In the order of the series; empty if there is nothing of one."""
    ticks: Sequence[Tick]
    """Of the upright axis, from 0 on."""
    labels: Sequence[Tick]
    """Of the other axis: places, and indices of the steps that are named there."""


def stacked_bars(series: Sequence[Sequence[float]], box: Box) -> Chart:
    """Bars of as many steps as a series has, one series on the other."""
    steps = max(map(len, series), default=0)
    sums = [sum(values) for values in zip(*series, strict=True)]
    top = nice_top(max(sums, default=0.0))
    below, paths = [0.0] * steps, list[str]()
    for values in series:
        parts = []
        for index, value in enumerate(values):
            if value <= 0:
                continue
            height = max(_MIN_HEIGHT, value / top * box.height)
            x, width = _place(index, steps, box)
            base = box.bottom - below[index]
            end = max(box.top, base - height)
            parts.append(f"M{_n(x)} {_n(base)}V{_n(end)}h{_n(width)}V{_n(base)}z")
            below[index] += base - end
        paths.append("".join(parts))
    return Chart(box, paths, _ticks(top, box), _labels(steps, box))


def lines(series: Sequence[Sequence[float | None]], box: Box) -> Chart:
    """Lines through the middle of each step; None: a gap."""
    steps = max(map(len, series), default=0)
    values = [value for one in series for value in one if value is not None]
    top = nice_top(max(values, default=0.0))
    paths = [_line(one, steps, top, box) for one in series]
    return Chart(box, paths, _ticks(top, box), _labels(steps, box))


def nice_top(largest: float) -> float:
    """A round number at which an axis ends that has to show `largest`."""
    if largest <= 0:
        return 1.0
    size = 10.0 ** floor(log10(largest))
    return next(size * one for one in _NICE if size * one >= largest * (1 - 1e-9))


def _line(values: Sequence[float | None], steps: int, top: float, box: Box) -> str:
    points = [
        None
        if value is None
        else (_middle(index, steps, box), box.bottom - value / top * box.height)
        for index, value in enumerate(values)
    ]
    parts = []
    for before, here in pairwise([None, *points]):
        if here is not None:
            parts.append(f"{'M' if before is None else 'L'}{_n(here[0])} {_n(here[1])}")
            if before is None:
                parts.append("h0")  # a step alone is a dot, by the line's round ends
    return "".join(parts)


def _place(index: int, steps: int, box: Box) -> tuple[float, float]:
    """Left edge and width of a bar."""
    pitch = box.width / steps
    return box.left + (index + _GAP / 2) * pitch, pitch * (1 - _GAP)


def _middle(index: int, steps: int, box: Box) -> float:
    return box.left + (index + 0.5) * box.width / steps


def _ticks(top: float, box: Box) -> list[Tick]:
    return [
        Tick(round(box.bottom - part / _TICKS * box.height, 2), top * part / _TICKS)
        for part in range(_TICKS + 1)
    ]


def _labels(steps: int, box: Box) -> list[Tick]:
    every = max(1, -(-steps // _MAX_LABELS))
    return [Tick(round(_middle(at, steps, box), 2), at) for at in range(0, steps, every)]


def _n(value: float) -> str:
    """A number as short as a path may have it."""
    return f"{value:.1f}".removesuffix(".0")
