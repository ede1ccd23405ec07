"""Checks definitions as the daemon does, on any machine.

Secrets are the exception: their names must be allowed, and their texts are where the daemon runs.
"""

from typing import Final

from consumer.control.sealed import Unsealer, check_sealed
from consumer.delivery.egress.network import guard_policy, refused_uris
from consumer.documents.tree import Document
from consumer.errors import ConfigError, Diagnostic, InvalidValue
from consumer.hooks.load_context import LoadContext
from consumer.hooks.loading import load_definition, load_document
from consumer.hooks.secrets import SecretReader
from consumer.hooks.table import Hook
from consumer.settings import Settings

PLACEHOLDER: Final = "bm90IHJlYWQgaGVyZSwgYnV0IGFsbG93ZWQ"
"""Stands for the text of a secret in a check. It is base64, as signing secrets must be."""


class Checker:
    """Checks definitions on any machine: no secret is read but sealed ones, if there is a key."""

    def __init__(self, settings: Settings) -> None:
        """Raises `ConfigError` if a key is none."""
        self._allowed = SecretReader({}, settings.hooks.secrets)
        self._policy = guard_policy(settings)
        keys = [key.get_secret_value() for key in settings.hooks.seal_private_key]
        try:
            self._unsealer = Unsealer(keys) if keys else None
        except InvalidValue as invalid:
            diagnostic = Diagnostic(invalid.message, invalid.hint, field="hooks.seal_private_key")
            raise ConfigError([diagnostic]) from None
        self.context = LoadContext(self._read, self._unseal)

    def document(self, document: Document, file: str) -> Hook:
        """The hook of a document. Raises `ConfigError`."""
        return self._reachable(load_document(document, self.context, file))

    def definition(self, data: object, name: str) -> Hook:
        """The hook of a definition without a file. Raises `ConfigError`."""
        return self._reachable(load_definition(data, self.context, name))

    def _reachable(self, hook: Hook) -> Hook:
        refused = list(refused_uris([hook], self._policy))
        if refused:
            raise ConfigError(refused)
        return hook

    def _read(self, kind: str, name: str) -> str:
        self._allowed.check(kind, name)
        return PLACEHOLDER

    def _unseal(self, body: str, origin: str) -> str:
        check_sealed(body)
        return self._unsealer.open(body, origin) if self._unsealer is not None else PLACEHOLDER
