"""Reads a folder of definitions into one immutable table, or says everything that is wrong."""

from collections.abc import Iterator
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from consumer.documents.files import Files, files
from consumer.documents.reader import read_documents, unreadable
from consumer.documents.tree import Document, spelling, without_nulls
from consumer.documents.validation import Finding, findings
from consumer.errors import Complaint, ConfigError, Problem
from consumer.hooks.compile import brace_findings, compile_hook
from consumer.hooks.definition import Definition
from consumer.hooks.secrets import ReadSecret
from consumer.hooks.sharing import Sharing
from consumer.hooks.table import Hook, HookTable, take_apart
from consumer.hooks.template import parse_template
from consumer.pace import unhurried

SUFFIXES = (".yaml", ".yml", ".json")


def load_hooks(path: Path, read_secret: ReadSecret) -> HookTable:
    """Every hook of the folder `path` and the folders in it, in the order of their file names.

    Hidden files and folders are passed over, and of a Kubernetes mount only what is in use is read
    (`documents.files`); a file under two names is read once.

    Raises:
        ConfigError: with every problem of every file. A folder without a single hook is one:
            more often a mount that failed than a wish to call nobody.
    """
    loading = _Loading(read_secret)
    try:
        read = files()
        found = list(_definition_files(read, path, {read.resolve(path)}))
    except OSError as error:
        complaint = unreadable(error)
        raise ConfigError([Problem(complaint.message, complaint.mend, file=str(path))]) from None
    for file in found:
        loading.read(file)
    take_apart(loading.places)
    if not loading.hooks and not loading.problems:
        mend = f"put a definition into it, in a file that ends in {', '.join(SUFFIXES)}"
        loading.problems.append(Problem("holds no hook", mend, file=str(path)))
    if loading.problems:
        take_apart(loading.hooks)
        raise ConfigError(loading.problems)
    return HookTable(MappingProxyType(loading.hooks))


def _definition_files(read: Files, folder: Path, seen: set[str]) -> Iterator[Path]:
    for name in unhurried(read.names(folder)):
        if name.startswith("."):
            continue
        entry = folder / name
        is_folder = S_ISDIR(read.mode(entry))
        if not is_folder and entry.suffix.lower() not in SUFFIXES:
            continue
        real = read.resolve(entry)
        if real in seen:
            continue
        seen.add(real)
        if is_folder:
            yield from _definition_files(read, entry, seen)
        else:
            yield entry


class _Loading:
    """The hooks and problems found so far."""

    def __init__(self, read_secret: ReadSecret) -> None:
        self.hooks: dict[str, Hook] = {}
        self.problems: list[Problem] = []
        self.places: dict[str, str] = {}
        self._sharing = Sharing(read_secret)

    def read(self, file: Path) -> None:
        try:
            _refuse_special_file(file)
            for document in unhurried(read_documents(file)):
                self._add(document, str(file))
        except Complaint as complaint:
            problem = Problem(
                complaint.message, complaint.mend, file=str(file), line=complaint.line
            )
            self.problems.append(problem)

    def _add(self, document: Document, file: str) -> None:
        data = without_nulls(document.data)
        hook_id = data.get("id") if isinstance(data, dict) else None
        found = list(self._repeated_id(hook_id, f"{file}:{document.line}"))
        try:
            definition = Definition.model_validate(data, context=self._sharing)
        except ValidationError as error:
            found += findings(error, Definition)
            found += _brace_findings_of(data, found)
        else:
            keys = [entry.key for entry in definition.parameters]
            found += brace_findings(definition.uri.names, definition.uri_parameters, keys)
        if found:
            self._report(found, document, file, hook_id)
        else:
            uri_line = document.locate(("uri",))
            self.hooks[definition.id] = compile_hook(definition, file, document.line, uri_line)

    def _repeated_id(self, hook_id: Any, place: str) -> Iterator[Finding]:
        if isinstance(hook_id, str) and self.places.setdefault(hook_id, place) != place:
            message = f"{hook_id} is already used in {self.places[hook_id]}"
            yield Finding(("id",), message, "give one of the two another id")

    def _report(self, found: list[Finding], document: Document, file: str, hook_id: Any) -> None:
        problems = [
            Problem(
                finding.message,
                finding.mend,
                file=file,
                line=document.locate(finding.place),
                hook=hook_id if isinstance(hook_id, str) else "",
                field=spelling(finding.place),
            )
            for finding in found
        ]
        self.problems += sorted(problems, key=lambda problem: problem.line)


def _refuse_special_file(file: Path) -> None:
    # Reading a pipe would wait for a writer. A link that leads nowhere fails when it is read.
    mode = files().mode(file)
    if mode and not S_ISREG(mode):
        raise Complaint("is a pipe or a device", "put a regular file in its place")


def _brace_findings_of(data: Any, found: list[Finding]) -> Iterator[Finding]:
    """What the braces lack in a definition that is refused for something else, so that its
    author learns of both at once.
    """
    fields = {finding.place[0] for finding in found if finding.place}
    if not isinstance(data, dict) or not fields.isdisjoint({"uri", "uri_parameters"}):
        return
    yield from brace_findings(parse_template(data["uri"]).names, data.get("uri_parameters", {}), [])
