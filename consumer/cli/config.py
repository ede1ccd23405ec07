"""Reads what `--config` names: one function for every command, and for reloads."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from pathlib import Path

import typer

from consumer.cli.process import gc_paused
from consumer.delivery.http.authorities import Authorities, read_authorities
from consumer.documents.files import read_consistently
from consumer.errors import ConfigError, Diagnostic
from consumer.hooks.loader import load_hooks
from consumer.hooks.secrets import SecretReader
from consumer.hooks.table import Hook, HookTable
from consumer.settings import (
    DEFAULT_FILE,
    HooksSettings,
    Settings,
    environment,
    load_hooks_settings,
    load_settings,
)


@dataclass(frozen=True, slots=True)
class Config:
    """Settings, and the hooks in the folder that they name."""

    settings: Settings
    table: HookTable


@gc_paused()
def read_config(file: Path | None) -> Config:
    """Read settings and hooks, and what they name, as they were at one moment.

    Raises:
        ConfigError: with every problem of both.
    """
    return read_consistently(partial(_read, file))


@gc_paused()
def read_with_authorities(file: Path | None) -> tuple[Config, Authorities]:
    """`read_config`, and the authorities of receivers' certificates as they were at that moment."""

    def read() -> tuple[Config, Authorities]:
        config = _read(file)
        return config, read_authorities(config.settings.network.ca_file)

    return read_consistently(read)


def _read(file: Path | None) -> Config:
    environ = environment()
    try:
        settings = load_settings(file, environ)
    except ConfigError as error:
        hooks = load_hooks_settings(file, environ)
        raise ConfigError([*error.diagnostics, *_hook_diagnostics(hooks, environ)]) from None
    own = [file or DEFAULT_FILE, settings.kafka.ssl_certfile, settings.kafka.ssl_keyfile]
    return Config(settings, _load(settings.hooks, environ, [one for one in own if one]))


def _load(hooks: HooksSettings, environ: Mapping[str, str], own: Iterable[Path] = ()) -> HookTable:
    return load_hooks(hooks.path, SecretReader(environ, hooks.secrets, own))


def _hook_diagnostics(
    hooks: HooksSettings | None, environ: Mapping[str, str]
) -> Sequence[Diagnostic]:
    """What is wrong with the hooks, as far as the settings say where they are."""
    if hooks is None:
        return ()
    try:
        _load(hooks, environ)
    except ConfigError as error:
        return error.diagnostics
    return ()


def find_hook(table: HookTable, id: str) -> Hook:
    """The hook of this id.

    Raises:
        typer.BadParameter: there is none; names the one that was probably meant.
    """
    hook = table.hooks.get(id)
    if hook is not None:
        return hook
    close = get_close_matches(id, table.hooks, n=1)
    known = f"did you mean {close[0]}?" if close else f"there are: {', '.join(table.hooks)}"
    raise typer.BadParameter(f"no hook has the id {id!r}; {known}", param_hint="HOOK")
