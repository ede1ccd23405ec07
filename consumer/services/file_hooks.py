"""The definitions in files, one by one: what is wrong with one does not hide the others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from consumer.documents.files import Stamp, files
from consumer.documents.reader import read_documents
from consumer.documents.tree import Document, without_nulls
from consumer.errors import ConfigError, Diagnostic, InvalidValue
from consumer.hooks.condition_form import with_json_conditions
from consumer.hooks.loader import definition_files
from consumer.hooks.loading import hook_id_of
from consumer.hooks.table import Hook
from consumer.services.checker import Checker
from consumer.settings import Settings


@dataclass(frozen=True, slots=True)
class FileDefinition:
    """One definition in a file."""

    hook_id: str
    data: Mapping[str, Any]
    """As its author wrote it."""
    file: str
    line: int
    """1-based."""
    hook: Hook | None
    """None: it is refused."""
    problems: Sequence[Diagnostic] = ()

    @property
    def path(self) -> str:
        """File and line."""
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class FileDefinitions:
    """The definitions in all files at one moment."""

    by_id: Mapping[str, FileDefinition] = field(default_factory=dict)
    problems: Sequence[Diagnostic] = ()
    """Of files that cannot be read, and of definitions without an id or with one that is taken."""


@dataclass(frozen=True, slots=True)
class _Read:
    stamp: Stamp
    definitions: Sequence[FileDefinition]
    problems: Sequence[Diagnostic]


class FileHooks:
    """Reads the folder `hooks.path`; files that have not changed are not read again."""

    def __init__(self, settings: Settings, checker: Checker) -> None:
        self._path = settings.hooks.path
        self._checker = checker
        self._known: dict[Path, _Read] = {}

    def read(self) -> FileDefinitions:
        """Read what has changed. It may take long; one call at a time."""
        if self._path is None:
            return FileDefinitions()
        try:
            paths = definition_files(self._path)
        except ConfigError as error:
            return FileDefinitions({}, error.diagnostics)
        self._known = {path: self._file(path) for path in paths}
        found, problems = dict[str, FileDefinition](), list[Diagnostic]()
        for read in self._known.values():
            problems += read.problems
            for definition in read.definitions:
                first = found.setdefault(definition.hook_id, definition)
                if first is not definition:
                    problems.append(_repeated(definition, first))
        return FileDefinitions(found, problems)

    def _file(self, path: Path) -> _Read:
        stamp = files().stamp(path)
        known = self._known.get(path)
        if known is not None and known.stamp == stamp:
            return known
        found, problems = list[FileDefinition](), list[Diagnostic]()
        try:
            for document in read_documents(path):
                definition = self._definition(document, str(path))
                if definition.hook_id:
                    found.append(definition)
                else:
                    problems += definition.problems
        except InvalidValue as invalid:
            problems.append(
                Diagnostic(invalid.message, invalid.hint, file=str(path), line=invalid.line)
            )
        return _Read(stamp, found, problems)

    def _definition(self, document: Document, file: str) -> FileDefinition:
        hook_id, data = hook_id_of(document), with_json_conditions(without_nulls(document.data))
        try:
            hook = self._checker.document(document, file)
        except ConfigError as error:
            return FileDefinition(hook_id, data, file, document.line, None, error.diagnostics)
        return FileDefinition(hook_id, data, file, document.line, hook)


def _repeated(definition: FileDefinition, first: FileDefinition) -> Diagnostic:
    return Diagnostic(
        f"{definition.hook_id} is already used in {first.path}",
        "give one of the two another id",
        file=definition.file,
        line=definition.line,
        hook=definition.hook_id,
        field="id",
    )


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
