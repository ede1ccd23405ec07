"""The geometry of charts."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.panel.pages.charts import Box, lines, nice_top, stacked_bars

BOX = Box(10, 5, 100, 50)
VALUES = st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)), min_size=1, max_size=50)


def _bars(path: str) -> list[tuple[float, float, float, float]]:
    """Left, bottom, top and width of each bar."""
    found = re.findall(r"M([\d.-]+) ([\d.-]+)V([\d.-]+)h([\d.-]+)V[\d.-]+z", path)
    return [(float(a), float(b), float(c), float(d)) for a, b, c, d in found]


@given(VALUES)
def test_bars_stay_in_their_box(values: list[tuple[int, int]]) -> None:
    """No bar leaves the box, whatever the counts are."""
    chart = stacked_bars(
        [[float(one[0]) for one in values], [float(one[1]) for one in values]], BOX
    )
    for path in chart.paths:
        for left, bottom, top, width in _bars(path):
            assert BOX.left - 0.1 <= left
            assert left + width <= BOX.right + 0.1
            assert BOX.top - 0.1 <= top <= bottom <= BOX.bottom + 0.1


def test_bars_are_as_high_as_their_values() -> None:
    """A bar's height is its share of the axis, and the second series stands on the first."""
    chart = stacked_bars([[2.0, 4.0], [2.0, 0.0]], BOX)
    good, bad = map(_bars, chart.paths)
    assert [tick.value for tick in chart.ticks] == [0.0, 1.25, 2.5, 3.75, 5.0]
    assert [(one[1], one[2]) for one in good] == [(55.0, 35.0), (55.0, 15.0)]
    assert [(one[1], one[2]) for one in bad] == [(35.0, 15.0)]


def test_one_failure_among_millions_is_seen() -> None:
    """A count that is not 0 has a height of one unit at least."""
    chart = stacked_bars([[1_000_000.0], [1.0]], BOX)
    [(_, bottom, top, _)] = _bars(chart.paths[1])
    assert bottom - top >= 1.0


def test_nothing_makes_no_bars() -> None:
    """Steps without a count, and no steps at all, are an empty picture and no error."""
    assert stacked_bars([[0.0, 0.0]], BOX).paths == [""]
    assert stacked_bars([], BOX).paths == []
    assert lines([[]], BOX).paths == [""]


def test_a_line_has_gaps_and_a_step_alone_is_a_dot() -> None:
    """A step without a value ends a line, and the next one begins it anew."""
    assert lines([[1.0, 1.0, None, 1.0]], BOX).paths == ["M22.5 5h0L47.5 5M97.5 5h0"]


@given(st.floats(1e-6, 1e15))
def test_an_axis_ends_at_a_round_number_close_above(largest: float) -> None:
    """An axis ends at the largest value or above it, at two and a half times it at most."""
    top = nice_top(largest)
    assert largest <= top * (1 + 1e-6)
    assert top <= largest * 2.5


@pytest.mark.parametrize("steps", [1, 6, 7, 24, 168, 744])
def test_an_axis_has_a_handful_of_labels(steps: int) -> None:
    """Labels do not run into each other, however many steps there are."""
    chart = stacked_bars([[1.0] * steps], BOX)
    assert 1 <= len(chart.labels) <= 6
    assert all(0 <= label.value < steps for label in chart.labels)
