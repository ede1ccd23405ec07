"""Durations as people write them: a whole number and its unit, `500ms`, `10s`, `1m`, `6h`."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from consumer.errors import InvalidValue

_MILLISECONDS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000}
_DURATION = re.compile(r"([0-9]{1,12})(ms|s|m|h)")


def parse_duration(text: str) -> float:
    """Seconds.

    Raises:
        InvalidValue: `text` is not a whole number followed by ms, s, m or h.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise InvalidValue(
            "is not a duration", "write a whole number and its unit: 500ms, 10s, 1m, 6h"
        )
    return int(match[1]) * _MILLISECONDS[match[2]] / 1_000


def format_duration(seconds: float) -> str:
    """The shortest spelling, in the largest unit that divides it: `format_duration(60)` is `1m`.

    A part of a millisecond is rounded: no duration that was parsed has one.
    """
    milliseconds = round(seconds * 1_000)
    fits = (unit for unit, size in _MILLISECONDS.items() if milliseconds % size == 0)
    unit = max(fits, key=_MILLISECONDS.__getitem__) if milliseconds else "s"
    return f"{milliseconds // _MILLISECONDS[unit]}{unit}"


def duration(minimum: str, maximum: str) -> BeforeValidator:
    """Pydantic metadata for a field in seconds: reads a duration within both bounds."""
    low, high = parse_duration(minimum), parse_duration(maximum)

    def validate(value: Any) -> float:
        if not isinstance(value, str):
            raise InvalidValue("is not a duration", f"write one from {minimum} to {maximum}")
        seconds = parse_duration(value)
        if not low <= seconds <= high:
            raise InvalidValue(
                f"{value} is out of range", f"write a duration from {minimum} to {maximum}"
            )
        return seconds

    return BeforeValidator(
        validate, json_schema_input_type=Annotated[str, Field(pattern=f"^{_DURATION.pattern}$")]
    )
