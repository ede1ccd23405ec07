"""The fields of a record of the journal, each checked; every function raises `MalformedError`."""

from collections.abc import Mapping
from typing import Any, Final

import orjson

FORMAT: Final = 1


class MalformedError(Exception):
    """A record of another format."""


def read_fields(value: bytes | None) -> dict[str, Any]:
    """The fields of a JSON object of this format."""
    try:
        fields = orjson.loads(value or b"")
    except orjson.JSONDecodeError:
        fields = None
    if not isinstance(fields, dict):
        raise MalformedError("is no JSON object")
    if fields.get("format") != FORMAT:
        raise MalformedError(f"its format is not {FORMAT}: a newer hookstream wrote it")
    return fields


def text_of(fields: dict[str, Any], name: str) -> str:
    """A text."""
    text = fields.get(name)
    if type(text) is not str:
        raise MalformedError(f"{name} is no text")
    return text


def optional_text(fields: dict[str, Any], name: str) -> str | None:
    """A text; None if it is missing or null."""
    text = fields.get(name)
    if text is not None and type(text) is not str:
        raise MalformedError(f"{name} is no text")
    return text


def count_of(fields: dict[str, Any], name: str) -> int:
    """A number from 0 on."""
    number = fields.get(name)
    if type(number) is not int or number < 0:
        raise MalformedError(f"{name} is no number from 0 on")
    return number


def optional_count(fields: dict[str, Any], name: str) -> int | None:
    """A number from 0 on; None if it is missing or null."""
    number = fields.get(name)
    if number is not None and (type(number) is not int or number < 0):
        raise MalformedError(f"{name} is no number from 0 on")
    return number


def counts_of(fields: dict[str, Any], name: str) -> Mapping[str, int]:
    """A mapping to numbers from 0 on."""
    counts = fields.get(name)
    if not isinstance(counts, dict) or not all(
        type(count) is int and count >= 0 for count in counts.values()
    ):
        raise MalformedError(f"{name} is no mapping to counts")
    return counts


def numbers_of(fields: dict[str, Any], name: str, kind: Any) -> tuple[Any, ...]:
    """Numbers of a `kind` from 0 on."""
    numbers = fields.get(name)
    if not isinstance(numbers, list) or not all(
        isinstance(number, kind) and type(number) is not bool and number >= 0 for number in numbers
    ):
        raise MalformedError(f"{name} is no list of numbers")
    return tuple(numbers)
