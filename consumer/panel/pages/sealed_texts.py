"""Sealed values in texts for people; it is pure."""

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from consumer.control.difference import FieldChange

_SEALED: Final = re.compile(r"\$\{sealed:([A-Za-z0-9_-]+)\}")
_KEPT_CHARACTERS: Final = 6
"""Of a ciphertext in a difference: enough to tell two apart."""


def is_sealed(text: str) -> bool:
    """Whether a text is one sealed value."""
    return _SEALED.fullmatch(text) is not None


def shortened(text: str, kept: int = 0) -> str:
    """A text with its sealed values cut to their first characters: the rest says nothing to a
    person.
    """
    return _SEALED.sub(lambda match: f"${{sealed:{match[1][:kept]}…}}", text)


def without_ciphertext(fields: Iterable[FieldChange]) -> list[FieldChange]:
    """Differences with sealed values cut short."""

    def short(text: str | None) -> str | None:
        return None if text is None else shortened(text, _KEPT_CHARACTERS)

    return [replace(one, before=short(one.before), after=short(one.after)) for one in fields]
