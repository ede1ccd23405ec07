"""Times of binary formats as text."""

from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def moment_text(seconds: int, fraction: int, digits: int, zone: str) -> str:
    """RFC 3339 text of a time, with none, three, six or nine digits of a second, as few as it
    needs (as Protobuf's JSON mapping has it). `fraction`: in units of 10 ** -`digits` seconds.

    Raises `OverflowError` outside of the years 1 to 9999.
    """
    text = (_EPOCH + timedelta(seconds=seconds)).isoformat()[:19]
    if fraction:
        decimals = str(fraction).rjust(digits, "0")
        while decimals.endswith("000"):
            decimals = decimals[:-3]
        text = f"{text}.{decimals}"
    return text + zone
