"""State that the definitions of one load share."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidatorFunctionWrapHandler

from consumer.errors import InvalidValue
from consumer.hooks.secrets import ReadSecret

_MAX_INTERNED = 10_000
"""Parts that are remembered at a time."""


class LoadContext:
    """State that the definitions of one load share: secrets, and parts that many hooks have in
    common, each read, validated and kept once.
    """

    def __init__(self, read_secret: ReadSecret) -> None:
        self._read_secret = read_secret
        self.secrets: dict[tuple[str, str], str] = {}
        """Those read so far, by kind and name."""
        self._parts: dict[tuple[Any, ...], Any] = {}

    def read_secret(self, kind: str, name: str) -> str:
        """The secret's text. Raises `InvalidValue`."""
        text = self.secrets.get((kind, name))
        if text is None:
            text = self.secrets[kind, name] = self._read_secret(kind, name)
        return text

    def still_reads(self, known: Mapping[tuple[str, str], str]) -> bool:
        """Whether each of these secrets may be read and is as it was."""
        try:
            return all(self.read_secret(*name) == text for name, text in known.items())
        except InvalidValue:
            return False

    def intern(self, field: str | None, raw: Any, validate: ValidatorFunctionWrapHandler) -> Any:
        """`validate(raw)`, or its earlier result for an equal part of the same field."""
        try:
            key = (field, *raw.items())
            known = self._parts.get(key)
        except (AttributeError, TypeError):  # no mapping, or one of mappings and lists: refused
            return validate(raw)
        if known is None:
            known = validate(raw)
            if len(self._parts) == _MAX_INTERNED:
                self._parts.clear()
            self._parts[key] = known
        return known
