"""From the bytes of a request to what a page takes; it is pure."""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Final

from consumer.panel.inputs import parse_pairs
from consumer.panel.pages.visit import PageRoute
from consumer.panel.problems import invalid_field

_MAX_CHARACTERS: Final = 1024
_MAX_FORM_FIELDS: Final = 4_000
"""Of a form that a person writes: more than a hook's lists may have, and less than takes long."""
_LOCAL: Final = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]*")


def parse_fields(text: str) -> dict[str, str]:
    """The fields of a query or form, without empty ones. Raises `Problem`."""
    given = parse_pairs(text)
    for name, value in given.items():
        if len(value) > _MAX_CHARACTERS:
            raise invalid_field(name, f"is longer than {_MAX_CHARACTERS} characters", "shorten it")
    return {name: text for name, value in given.items() if (text := value.strip())}


def parse_written(text: str) -> dict[str, str]:
    """The fields of a form that a person writes at length, as they are. Raises `Problem`."""
    return parse_pairs(text, _MAX_FORM_FIELDS)


def refuse_unknown(route: PageRoute, query: Mapping[str, str]) -> None:
    """Raise `Problem` for a parameter that the page does not have."""
    for name in query:
        if name not in route.query:
            close = get_close_matches(name, route.query, n=1)
            raise invalid_field(
                name, "is not known here", f"did you mean {close[0]}?" if close else "take it out"
            )


def local_path(text: str) -> str:
    """`text` if it is an address of this panel, else its first page."""
    return text if _LOCAL.fullmatch(text) else "/"
