"""Seals secrets with the key of the settings."""

from collections.abc import Callable
from functools import partial

from consumer.control.sealed import seal
from consumer.errors import ConfigError, Diagnostic, InvalidValue
from consumer.settings import Settings

Seal = Callable[[str, str], str]
"""From a secret and the origin of its hook's URI to `${sealed:...}`. Raises `InvalidValue`."""


def make_seal(settings: Settings) -> Seal | None:
    """What seals with `hooks.seal_public_key`; None: the settings have no key.

    Raises:
        ConfigError: the key is none.
    """
    key = settings.hooks.seal_public_key
    if key is None:
        return None
    try:
        seal("x", "https://example.com", key)
    except InvalidValue as invalid:
        field = "hooks.seal_public_key"
        raise ConfigError([Diagnostic(invalid.message, invalid.hint, field=field)]) from None
    return partial(seal, public_key=key)
