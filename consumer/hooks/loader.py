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
from consumer.errors import ConfigError, Diagnostic, InvalidValue
from consumer.hooks.compile import compile_hook, variable_findings
from consumer.hooks.definition import Definition
from consumer.hooks.load_context import LoadContext
from consumer.hooks.secrets import ReadSecret
from consumer.hooks.table import Hook, HookTable, clear_gradually
from consumer.hooks.template import parse_template
from consumer.throttle import unhurried

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
        invalid = unreadable(error)
        raise ConfigError([Diagnostic(invalid.message, invalid.hint, file=str(path))]) from None
    for file in found:
        loading.read(file)
    clear_gradually(loading.paths)
    if not loading.hooks and not loading.diagnostics:
        hint = f"put a definition into it, in a file that ends in {', '.join(SUFFIXES)}"
        loading.diagnostics.append(Diagnostic("holds no hook", hint, file=str(path)))
    if loading.diagnostics:
        clear_gradually(loading.hooks)
        raise ConfigError(loading.diagnostics)
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
        self.diagnostics: list[Diagnostic] = []
        self.paths: dict[str, str] = {}
        self._context = LoadContext(read_secret)

    def read(self, file: Path) -> None:
        try:
            _refuse_special_file(file)
            for document in unhurried(read_documents(file)):
                self._add(document, str(file))
        except InvalidValue as invalid:
            diagnostic = Diagnostic(
                invalid.message, invalid.hint, file=str(file), line=invalid.line
            )
            self.diagnostics.append(diagnostic)

    def _add(self, document: Document, file: str) -> None:
        data = without_nulls(document.data)
        hook_id = data.get("id") if isinstance(data, dict) else None
        found = list(self._repeated_id(hook_id, f"{file}:{document.line}"))
        try:
            definition = Definition.model_validate(data, context=self._context)
        except ValidationError as error:
            found += findings(error, Definition)
            found += _variable_findings_of(data, found)
        else:
            keys = [entry.key for entry in definition.parameters]
            found += variable_findings(definition.uri.names, definition.uri_parameters, keys)
        if found:
            self._report(found, document, file, hook_id)
        else:
            uri_line = document.locate(("uri",))
            self.hooks[definition.id] = compile_hook(definition, file, document.line, uri_line)

    def _repeated_id(self, hook_id: Any, path: str) -> Iterator[Finding]:
        if isinstance(hook_id, str) and self.paths.setdefault(hook_id, path) != path:
            message = f"{hook_id} is already used in {self.paths[hook_id]}"
            yield Finding(("id",), message, "give one of the two another id")

    def _report(self, found: list[Finding], document: Document, file: str, hook_id: Any) -> None:
        diagnostics = [
            Diagnostic(
                finding.message,
                finding.hint,
                file=file,
                line=document.locate(finding.path),
                hook=hook_id if isinstance(hook_id, str) else "",
                field=spelling(finding.path),
            )
            for finding in found
        ]
        self.diagnostics += sorted(diagnostics, key=lambda diagnostic: diagnostic.line)


def _refuse_special_file(file: Path) -> None:
    # Reading a pipe would wait for a writer. A link that leads nowhere fails when it is read.
    mode = files().mode(file)
    if mode and not S_ISREG(mode):
        raise InvalidValue("is a pipe or a device", "put a regular file in its place")


def _variable_findings_of(data: Any, found: list[Finding]) -> Iterator[Finding]:
    """What the braces lack in a definition that is refused for something else, so that its
    author learns of both at once.
    """
    fields = {finding.path[0] for finding in found if finding.path}
    if not isinstance(data, dict) or not fields.isdisjoint({"uri", "uri_parameters"}):
        return
    yield from variable_findings(
        parse_template(data["uri"]).names, data.get("uri_parameters", {}), []
    )
