"""Definitions in files, checked as the daemon checks them but for secrets: their names must be
allowed, and their texts are where the daemon runs.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from consumer.control.sealed import Unsealer, check_sealed
from consumer.delivery.egress.network import guard_policy, refused_uris
from consumer.documents.files import read_consistently
from consumer.documents.reader import is_regular_file, read_documents
from consumer.documents.tree import Document, without_nulls
from consumer.errors import ConfigError, Diagnostic, InvalidValue
from consumer.hooks.load_context import LoadContext
from consumer.hooks.loader import definition_files
from consumer.hooks.loading import hook_id_of, load_definition, load_document
from consumer.hooks.secrets import SecretReader
from consumer.hooks.table import Hook
from consumer.settings import Settings

PLACEHOLDER: Final = "bm90IHJlYWQgaGVyZSwgYnV0IGFsbG93ZWQ"
"""Stands for the text of a secret in a check. It is base64, as signing secrets must be."""


@dataclass(frozen=True, slots=True)
class Written:
    """One definition as its author wrote it, without problems."""

    data: Mapping[str, Any]
    path: str
    """File and line."""


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


def read_definitions(path: Path, settings: Settings) -> dict[str, Written]:
    """The definitions in a file, or in a folder and the folders in it, by hook id.

    Raises:
        ConfigError: with every problem of every file; no definition at all is one.
    """
    return read_consistently(partial(_read, path, settings))


def _read(path: Path, settings: Settings) -> dict[str, Written]:
    checker, found, problems = Checker(settings), dict[str, Written](), list[Diagnostic]()
    for file in [path] if is_regular_file(path) else definition_files(path):
        try:
            for document in read_documents(file):
                problems += _take(document, str(file), checker, found)
        except InvalidValue as invalid:
            problems.append(
                Diagnostic(invalid.message, invalid.hint, file=str(file), line=invalid.line)
            )
    if not found and not problems:
        problems.append(Diagnostic("holds no hook", "put a definition into it", file=str(path)))
    if problems:
        raise ConfigError(problems)
    return found


def _take(
    document: Document, file: str, checker: Checker, found: dict[str, Written]
) -> Iterator[Diagnostic]:
    hook_id, place = hook_id_of(document), f"{file}:{document.line}"
    if hook_id in found:
        yield Diagnostic(
            f"{hook_id} is already used in {found[hook_id].path}",
            "give one of the two another id",
            file=file,
            line=document.line,
            hook=hook_id,
            field="id",
        )
    try:
        checker.document(document, file)
    except ConfigError as error:
        yield from error.diagnostics
    if hook_id:
        found.setdefault(hook_id, Written(without_nulls(document.data), place))


def ids_in_files(settings: Settings) -> dict[str, str]:
    """The ids of the definitions in `hooks.path` with their files, as far as these can be read: of
    a hook that is there too, the topic's definition is not in force.
    """
    found: dict[str, str] = {}
    if settings.hooks.path is None:
        return found
    try:
        for file in definition_files(settings.hooks.path):
            for document in read_documents(file):
                found.setdefault(hook_id_of(document), str(file))
    except (ConfigError, InvalidValue):
        pass  # not on this machine, or not finished: `check` is for that
    return found
