"""Reads settings, hooks and the files that they name, as they were at one moment."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from consumer.collector import gc_paused
from consumer.delivery.http.authorities import Authorities, read_authorities
from consumer.documents.files import read_consistently
from consumer.errors import ConfigError, Diagnostic, InvalidValue
from consumer.hooks.load_context import LoadContext, without_key
from consumer.hooks.loader import FileSource, load_hooks
from consumer.hooks.secrets import SecretReader, Unseal
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
    new_context: Callable[[], LoadContext]
    """Makes the context in which live definitions are loaded: it reads each secret anew."""


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


def read_settings(
    file: Path | None, environ: Mapping[str, str] | None = None
) -> tuple[Settings, Callable[[], LoadContext]]:
    """Read the settings only, and what makes contexts for definitions (see `Config`).

    Raises:
        ConfigError: with every problem.
    """
    environ = environment() if environ is None else environ
    settings = load_settings(file, environ)
    return settings, _contexts(settings, file, environ)


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
            found = _hook_diagnostics(settings.hooks, environ, file)
            raise ConfigError([*error.diagnostics, *found]) from None
        new_context = _contexts(settings, file, environ)
        # Last, since definitions change most: the sooner after them all is compared, the better.
        known = before.definitions if before is not None else None
        definitions = _read_hooks(settings.hooks, new_context(), file, known)
        return Loaded(settings, definitions, new_context, authorities)

    return read_consistently(read)


def _read(file: Path | None, environ: Mapping[str, str]) -> Config:
    settings = _read_settings(file, environ)
    new_context = _contexts(settings, file, environ)
    return Config(settings, _read_hooks(settings.hooks, new_context(), file), new_context)


def _read_settings(file: Path | None, environ: Mapping[str, str]) -> Settings:
    try:
        return load_settings(file, environ)
    except ConfigError as error:
        hooks = load_hooks_settings(file, environ)
        raise ConfigError([*error.diagnostics, *_hook_diagnostics(hooks, environ, file)]) from None


def _contexts(
    settings: Settings, file: Path | None, environ: Mapping[str, str]
) -> Callable[[], LoadContext]:
    """Makes contexts for definitions. Raises `ConfigError` if a key for sealed secrets is none."""
    own = [file or DEFAULT_FILE, settings.kafka.ssl_certfile, settings.kafka.ssl_keyfile]
    return _contexts_of(settings.hooks, environ, filter(None, own))


def _contexts_of(
    hooks: HooksSettings, environ: Mapping[str, str], own: Iterable[Path] = ()
) -> Callable[[], LoadContext]:
    return partial(LoadContext, SecretReader(environ, hooks.secrets, own), _unseal(hooks))


def _unseal(hooks: HooksSettings) -> Unseal:
    if not hooks.seal_private_key:
        return without_key
    from consumer.control.sealed import Unsealer

    try:
        return Unsealer([key.get_secret_value() for key in hooks.seal_private_key]).open
    except InvalidValue as error:
        problem = Diagnostic(error.message, error.hint, field="hooks.seal_private_key")
        raise ConfigError([problem]) from None


def _read_hooks(
    hooks: HooksSettings, context: LoadContext, file: Path | None, before: FileSource | None = None
) -> FileSource:
    """The definitions in files. With live ones there may be none: the settings then name no
    folder, or one without a definition, or leave it to the default, which does not exist.
    """
    default = (file or DEFAULT_FILE).parent / "hooks"
    is_absent = hooks.path is None or (hooks.path == default and not hooks.path.exists())
    if hooks.path is None or (hooks.live and is_absent):
        return FileSource.of_nothing()
    return load_hooks(hooks.path, context, before, may_be_empty=hooks.live)


def _hook_diagnostics(
    hooks: HooksSettings | None, environ: Mapping[str, str], file: Path | None
) -> Sequence[Diagnostic]:
    """Problems of the hooks, if the settings say where these are."""
    if hooks is None:
        return ()
    try:
        _read_hooks(hooks, _contexts_of(hooks, environ)(), file)
    except ConfigError as error:
        return error.diagnostics
    return ()
