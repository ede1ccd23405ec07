"""Settings from the file and the environment, which has the last word; every problem at once."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from consumer.documents.tree import spelling
from consumer.documents.validation import Finding, findings
from consumer.errors import ConfigError, Diagnostic
from consumer.settings.model import HooksSettings, Settings
from consumer.settings.sources import PREFIX, EnvironmentSource, FileSource

DEFAULT_FILE = Path("config/hookstream.yaml")


def environment() -> Mapping[str, str]:
    """The process's environment; nothing else reads it."""
    return os.environ


def load_settings(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Settings from `path` and every `HOOKSTREAM_SECTION__KEY` of `environ`.

    Without a path the default file counts if it exists. Relative paths in the file start
    from its folder, those in the environment from the working directory.

    Raises:
        ConfigError: with every problem, each at its file and line or under its variable's name.
    """
    if path is None and DEFAULT_FILE.exists():
        path = DEFAULT_FILE
    file, variables = FileSource(path), EnvironmentSource(environ)
    diagnostics = variables.diagnostics
    try:
        settings = Settings.model_validate(_merged(file.values, variables.values))
    except ValidationError as error:
        diagnostics += [_diagnostic(found, file, variables) for found in findings(error, Settings)]
    if diagnostics:
        raise ConfigError(diagnostics)
    return settings


def load_hooks_settings(path: Path | None, environ: Mapping[str, str]) -> HooksSettings | None:
    """The section `hooks` of settings that `load_settings` refused, so that the hooks' problems
    can be told together with the settings' own; None if this section is at fault itself.
    """
    if path is None and DEFAULT_FILE.exists():
        path = DEFAULT_FILE
    try:
        values = _merged(FileSource(path).values, EnvironmentSource(environ).values)
        return HooksSettings.model_validate(values.get("hooks", {}))
    except (ConfigError, ValidationError):
        return None


def _merged(below: Any, above: Any) -> Any:
    """`above` in place of `below`; mappings are merged key by key."""
    if not isinstance(below, dict) or not isinstance(above, dict):
        return above
    return {**below, **{key: _merged(below.get(key), value) for key, value in above.items()}}


def _diagnostic(found: Finding, file: FileSource, variables: EnvironmentSource) -> Diagnostic:
    message, hint, field = found.message, found.hint, spelling(found.path)
    name = variables.name_of(found.path)
    if name is not None:
        return Diagnostic(message, hint, file=name, field=field)
    if file.file is None:
        hint += f" (as {PREFIX}{'__'.join(map(str, found.path)).upper()})"
        return Diagnostic(message, hint, field=field)
    return Diagnostic(
        message, hint, file=str(file.file), line=file.line_of(found.path), field=field
    )
