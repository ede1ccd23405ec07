"""Values of a query that are one of a list; it is pure."""

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import TypeVar

from consumer.panel.problems import invalid_field

_Choice = TypeVar("_Choice", bound=str)


def choice(query: Mapping[str, str], name: str, choices: Collection[_Choice]) -> _Choice | None:
    """The member of `choices` that a query names; None: it names none. Raises `Problem`."""
    text = query.get(name)
    if text is None:
        return None
    found = next((one for one in choices if one == text), None)
    if found is None:
        close = get_close_matches(text, choices, n=1)
        hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(choices)}"
        raise invalid_field(name, "is none of its values", hint)
    return found


def number(query: Mapping[str, str], name: str, default: int, largest: int) -> int:
    """A number from 1 to `largest` of a query. Raises `Problem`."""
    text = query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and 1 <= len(text) <= len(str(largest))):
        raise invalid_field(name, "is no number", f"write a number from 1 to {largest:,}")
    if not 1 <= int(text) <= largest:
        raise invalid_field(name, "is out of its range", f"write a number from 1 to {largest:,}")
    return int(text)
