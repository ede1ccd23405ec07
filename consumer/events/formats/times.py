"""Times of binary formats as text."""

from datetime import UTC, datetime
from typing import Final

_SECOND_CHARACTERS: Final = 19
"""Of RFC 3339 text up to the second."""


def moment_text(seconds: int, fraction: int, digits: int, zone: str) -> str:
    """RFC 3339 text of a time, with none, three, six or nine digits of a second, as few as it
    needs (as Protobuf's JSON mapping has it). `fraction`: in units of 10 ** -`digits` seconds.

    Raises `ValueError` or `OverflowError` outside of the years 1 to 9999.
    """
    text = datetime.fromtimestamp(seconds, UTC).isoformat()[:_SECOND_CHARACTERS]
    if not fraction:
        return text + zone
    decimals = str(fraction).zfill(digits)
    while decimals.endswith("000"):
        decimals = decimals[:-3]
    return f"{text}.{decimals}{zone}"
