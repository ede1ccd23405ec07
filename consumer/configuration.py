"""Reads settings, hooks and the files that they name, as they were at one moment."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from consumer.collector import gc_paused
from consumer.delivery.http.authorities import Authorities, read_authorities
from consumer.documents.files import read_consistently
from consumer.errors import ConfigError, Diagnostic
from consumer.hooks.loader import FileSource, load_hooks
from consumer.hooks.secrets import SecretReader
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
    """Settings, and the definitions in the folder that they name."""

    settings: Settings
    definitions: FileSource


@dataclass(frozen=True, slots=True)
class Loaded(Config):
    """The same with the authorities of receivers' certificates: everything that a daemon reads."""

    authorities: Authorities


@gc_paused()
def read_config(file: Path | None) -> Config:
    """Read settings and hooks, and the files that they name.

    Raises:
        ConfigError: with every problem of both.
    """
    return read_consistently(partial(_read, file, environment()))


@gc_paused()
def load(
    file: Path | None, before: Loaded | None = None, environ: Mapping[str, str] | None = None
) -> Loaded:
    """Read everything for a daemon; what has not changed since `before` is not read again.

    Raises:
        ConfigError: with every problem of settings and hooks.
    """
    environ = environment() if environ is None else environ

    def read() -> Loaded:
        settings = _read_settings(file, environ)
        try:
            in_force = before.authorities if before is not None else None
            authorities = read_authorities(settings.network.ca_file, in_force)
        except ConfigError as error:
            found = _hook_diagnostics(settings.hooks, environ)
            raise ConfigError([*error.diagnostics, *found]) from None
        # Last, since definitions change most: the sooner after them all is compared, the better.
        known = before.definitions if before is not None else None
        return Loaded(settings, _read_hooks(settings, file, environ, known), authorities)

    return read_consistently(read)


def _read(file: Path | None, environ: Mapping[str, str]) -> Config:
    settings = _read_settings(file, environ)
    return Config(settings, _read_hooks(settings, file, environ))


def _read_settings(file: Path | None, environ: Mapping[str, str]) -> Settings:
    try:
        return load_settings(file, environ)
    except ConfigError as error:
        hooks = load_hooks_settings(file, environ)
        raise ConfigError([*error.diagnostics, *_hook_diagnostics(hooks, environ)]) from None


def _read_hooks(
    settings: Settings,
    file: Path | None,
    environ: Mapping[str, str],
    known: FileSource | None = None,
) -> FileSource:
    own = [file or DEFAULT_FILE, settings.kafka.ssl_certfile, settings.kafka.ssl_keyfile]
    return _load(settings.hooks, environ, filter(None, own), known)


def _load(
    hooks: HooksSettings,
    environ: Mapping[str, str],
    own: Iterable[Path] = (),
    before: FileSource | None = None,
) -> FileSource:
    return load_hooks(hooks.path, SecretReader(environ, hooks.secrets, own), before)


def _hook_diagnostics(
    hooks: HooksSettings | None, environ: Mapping[str, str]
) -> Sequence[Diagnostic]:
    """Problems of the hooks, if the settings say where these are."""
    if hooks is None:
        return ()
    try:
        _load(hooks, environ)
    except ConfigError as error:
        return error.diagnostics
    return ()
