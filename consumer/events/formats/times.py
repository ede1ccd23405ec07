"""Times of binary formats as text."""

from datetime import UTC, datetime
from typing import Final

_MINUTE_CHARACTERS: Final = 17
"""Of RFC 3339 text up to the colon before the second."""
_MAX_MINUTES: Final = 1_024
_SECONDS: Final = tuple(f"{second:02d}" for second in range(60))
_minutes: Final[dict[int, str]] = {}
"""Texts of minutes since the Unix epoch: a library's text of a time costs five times as much as all
the rest, and events are of few minutes.
"""


def moment_text(seconds: int, fraction: int, digits: int, zone: str) -> str:
    """RFC 3339 text of a time, with none, three, six or nine digits of a second, as few as it
    needs (as Protobuf's JSON mapping has it). `fraction`: in units of 10 ** -`digits` seconds.

    Raises `ValueError` or `OverflowError` outside of the years 1 to 9999.
    """
    minute = seconds // 60
    text = (_minutes.get(minute) or _minute_text(minute)) + _SECONDS[seconds - minute * 60]
    if not fraction:
        return text + zone
    while not fraction % 1_000:
        fraction //= 1_000
        digits -= 3
    return f"{text}.{str(fraction).zfill(digits)}{zone}"


def _minute_text(minute: int) -> str:
    text = datetime.fromtimestamp(minute * 60, UTC).isoformat()[:_MINUTE_CHARACTERS]
    if len(_minutes) >= _MAX_MINUTES:
        _minutes.clear()
    _minutes[minute] = text
    return text
