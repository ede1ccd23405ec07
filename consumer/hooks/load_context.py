"""State that the definitions of one load share."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidatorFunctionWrapHandler

from consumer.errors import InvalidValue
from consumer.hooks.secrets import SEALED, ReadSecret, Unseal

_MAX_INTERNED = 10_000
"""Parts that are remembered at a time."""


def without_key(_body: str, _origin: str) -> str:
    """The `Unseal` of a process that has no key. Raises `InvalidValue`."""
    raise InvalidValue(
        "is sealed, and this process has no key to open it", "set hooks.seal_private_key"
    )


class LoadContext:
    """State that the definitions of one load share: secrets, and parts that many hooks have in
    common, each read, validated and kept once.
    """

    def __init__(self, read_secret: ReadSecret, unseal: Unseal = without_key) -> None:
        self._read_secret = read_secret
        self._unseal = unseal
        self.secrets: dict[tuple[str, str], str] = {}
        """Those read so far, by kind and name; a sealed one's name begins with its origin."""
        self._parts: dict[tuple[Any, ...], Any] = {}
        self.origin = ""
        """The origin of the URI of the definition that is being read; empty before its URI is
        valid."""
        self._sealed_read = 0

    def read_secret(self, kind: str, name: str) -> str:
        """The secret's text. Raises `InvalidValue`."""
        if kind == SEALED:
            if not self.origin:
                raise InvalidValue("is sealed for a URI, and the hook has none", "correct its uri")
            self._sealed_read += 1
            name = f"{self.origin} {name}"
        return self._secret(kind, name)

    def _secret(self, kind: str, name: str) -> str:
        text = self.secrets.get((kind, name))
        if text is None:
            if kind == SEALED:
                origin, _, body = name.partition(" ")
                text = self._unseal(body, origin)
            else:
                text = self._read_secret(kind, name)
            self.secrets[kind, name] = text
        return text

    def still_reads(self, known: Mapping[tuple[str, str], str]) -> bool:
        """Whether each of these secrets may be read and is as it was."""
        try:
            return all(self._secret(*name) == text for name, text in known.items())
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
            sealed_read = self._sealed_read
            known = validate(raw)
            if self._sealed_read != sealed_read:
                return known  # of this origin: an equal part of another one is refused
            if len(self._parts) == _MAX_INTERNED:
                self._parts.clear()
            self._parts[key] = known
        return known
