"""What the definitions of one load have in common."""

from functools import cache
from typing import Any

from pydantic import ValidatorFunctionWrapHandler

from consumer.hooks.secrets import ReadSecret

_MOST_SHARED = 10_000


class LoadContext:
    """What the definitions of one load have in common, so that it is read, checked and kept once:
    secrets, and the parts that many hooks write alike.
    """

    def __init__(self, read_secret: ReadSecret) -> None:
        self.read_secret = cache(read_secret)
        self._parts: dict[tuple[Any, ...], Any] = {}

    def intern(self, field: str | None, raw: Any, validate: ValidatorFunctionWrapHandler) -> Any:
        """`validate(raw)`, or what it gave for an equal part of the same field."""
        try:
            key = (field, *raw.items())
            known = self._parts.get(key)
        except (AttributeError, TypeError):  # no mapping, or one of mappings and lists: refused
            return validate(raw)
        if known is None:
            known = validate(raw)
            if len(self._parts) == _MOST_SHARED:
                self._parts.clear()
            self._parts[key] = known
        return known
