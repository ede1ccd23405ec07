"""The definitions that `hookstream hooks apply` is given, checked."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from consumer.documents.files import read_consistently
from consumer.documents.reader import is_regular_file, read_documents
from consumer.documents.tree import Document, without_nulls
from consumer.errors import ConfigError, Diagnostic, InvalidValue
from consumer.hooks.condition_form import with_json_conditions
from consumer.hooks.loader import definition_files
from consumer.hooks.loading import hook_id_of
from consumer.services.checker import Checker
from consumer.settings import Settings


@dataclass(frozen=True, slots=True)
class Written:
    """One definition as its author wrote it, without problems."""

    data: Mapping[str, Any]
    path: str
    """File and line."""


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
        found.setdefault(hook_id, Written(_data(document), place))


def _data(document: Document) -> Mapping[str, Any]:
    data: Mapping[str, Any] = with_json_conditions(without_nulls(document.data))
    return data
