"""Reads what `--config` names: one function for every command, and for reloads."""

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import typer

from consumer.hooks.loader import load_hooks
from consumer.hooks.secrets import SecretReader
from consumer.hooks.table import Hook, HookTable
from consumer.settings import Settings, environment, load_settings


@dataclass(frozen=True, slots=True)
class Config:
    """Settings, and the hooks in the folder that they name."""

    settings: Settings
    table: HookTable


def read_config(file: Path | None) -> Config:
    """Read settings and hooks.

    Raises:
        ConfigError: with every problem of the settings, else with every problem of the hooks.
    """
    environ = environment()
    settings = load_settings(file, environ)
    reader = SecretReader(environ, settings.hooks.secrets)
    return Config(settings, load_hooks(settings.hooks.path, reader))


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
