"""`hookstream hooks seal`: keys, and secrets sealed with them."""

import sys
from pathlib import Path

import typer

from consumer.cli.console import print_note
from consumer.control.sealed import MAX_SEALED_BYTES, new_key
from consumer.errors import ConfigError, Diagnostic, HookstreamError, InvalidValue
from consumer.hooks.template import parse_template
from consumer.services.sealing import Seal, make_seal
from consumer.settings import Settings, environment, load_settings


def print_new_key() -> None:
    """Print a new pair of keys, as settings."""
    public, private = new_key()
    typer.echo(f"hooks:\n  seal_public_key: {public}\n  seal_private_key: {private}")
    print_note(
        "the public key is for all who write definitions; the private one for the daemon alone, "
        "best as HOOKSTREAM_HOOKS__SEAL_PRIVATE_KEY"
    )


def seal_secret(config: Path | None, uri: str) -> None:
    """Read a secret and print it sealed for the origin of `uri`.

    Raises:
        typer.BadParameter: the URI is none.
        HookstreamError: the settings have no key, or there is no secret to seal.
    """
    seal = _seal_of(load_settings(config, environment()))
    try:
        origin = parse_template(uri).origin
    except InvalidValue as invalid:
        message = f"{invalid.message} ({invalid.hint})"
        raise typer.BadParameter(message, param_hint="--uri") from None
    text = _secret()
    try:
        typer.echo(seal(text, origin))
    except InvalidValue as invalid:
        raise HookstreamError(f"the secret {invalid.message}: {invalid.hint}") from None


def _seal_of(settings: Settings) -> Seal:
    found = make_seal(settings)
    if found is None:
        hint = "make a pair of keys: hookstream hooks seal --new-key"
        raise ConfigError([Diagnostic("is missing", hint, field="hooks.seal_public_key")])
    return found


def _secret() -> str:
    """The secret; of a file or pipe without its line end, which is no part of it."""
    if sys.stdin.isatty():
        text: str = typer.prompt("Secret", hide_input=True, err=True)
        return text
    raw = sys.stdin.buffer.read(MAX_SEALED_BYTES + 3)
    try:
        return raw.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise HookstreamError("the secret is not UTF-8: store it as text") from None
