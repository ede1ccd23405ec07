"""Durations as docs/reference/settings.md writes them."""

import pytest

from consumer.documents.durations import format_duration, parse_duration
from consumer.errors import InvalidValue


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("10s", 10.0), ("1m", 60.0), ("6h", 21_600.0), ("0s", 0.0), ("90s", 90.0)],
)
def test_a_number_and_its_unit_are_seconds(text: str, seconds: float) -> None:
    """A number with one of the four units becomes its seconds."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "s", "1.5s", "-1s", "10 s", "10S", "1d", "1m30s", "٣s"])
def test_anything_else_is_refused(text: str) -> None:
    """Anything but a number with a unit is refused."""
    with pytest.raises(InvalidValue, match="is not a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"), [(10, "10s"), (60, "1m"), (3600, "1h"), (0.5, "500ms"), (0, "0s")]
)
def test_the_largest_unit_that_divides_is_written(seconds: float, text: str) -> None:
    """A duration is written in the largest unit that divides it, so 60s and 1m name one retry
    topic.
    """
    assert format_duration(seconds) == text
