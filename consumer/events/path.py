"""Dotted paths into decoded JSON."""

from typing import Any

Path = tuple[str, ...]

_MAX_INDEX_DIGITS = 9


def parse_path(text: str) -> Path:
    """Split `data.items.0.name` into its steps; the text is not empty."""
    return tuple(text.split("."))


def walk(document: Any, path: Path) -> Any:
    """The value at `path`, or None if any step is missing.

    A step is a key of an object or, in an array, an index counted from 0.
    """
    for step in path:
        if type(document) is dict:
            document = document.get(step)
        elif type(document) is list and _is_index(step) and int(step) < len(document):
            document = document[int(step)]
        else:
            return None
    return document


def _is_index(step: str) -> bool:
    """Whether `step` is an index; `int` raises for numbers of some thousand digits."""
    return step.isdecimal() and len(step) <= _MAX_INDEX_DIGITS
