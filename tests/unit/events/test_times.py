"""Times of binary formats as text."""

from datetime import UTC, datetime, timedelta

import pytest

from consumer.events.formats.times import moment_text

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def test_a_time_of_any_minute() -> None:
    """The text of a time is that of Python's library, of a minute that was met before and of more
    minutes than are remembered.
    """
    for minute in [*range(-1_500, 1_500), *range(-5, 5)]:
        for second in (0, 59):
            moment = EPOCH + timedelta(minutes=minute, seconds=second)
            text = moment_text(60 * minute + second, 0, 3, "+00:00")
            assert text == moment.isoformat()


@pytest.mark.parametrize(
    ("fraction", "digits", "text"),
    [
        (123, 3, ".123"),
        (5, 3, ".005"),
        (120_000, 6, ".120"),
        (1, 6, ".000001"),
        (7_000_000, 9, ".007"),
        (7_000_001, 9, ".007000001"),
        (0, 9, ""),
    ],
)
def test_a_fraction_has_as_few_digits_as_it_needs(fraction: int, digits: int, text: str) -> None:
    """A fraction of a second has three, six or nine digits."""
    assert moment_text(59, fraction, digits, "Z") == f"1970-01-01T00:00:59{text}Z"


@pytest.mark.parametrize("seconds", [-62_135_596_801, 253_402_300_800])
def test_a_time_beyond_the_years(seconds: int) -> None:
    """A time before the year 1 or after the year 9999 has no text."""
    with pytest.raises((ValueError, OverflowError)):
        moment_text(seconds, 0, 3, "Z")
