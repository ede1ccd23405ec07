"""Reads a folder of definitions: all of its hooks, or everything that is wrong with them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from types import MappingProxyType

from consumer.clock import Clock, SystemClock
from consumer.documents.files import Files, Stamp, files
from consumer.documents.reader import read_documents, unreadable
from consumer.documents.tree import Document
from consumer.documents.validation import Finding
from consumer.errors import ConfigError, Diagnostic, InvalidValue
from consumer.hooks.load_context import LoadContext
from consumer.hooks.loading import hook_id_of, load_document
from consumer.hooks.source import Change, Delete, Upsert
from consumer.hooks.table import Hook

SUFFIXES = (".yaml", ".yml", ".json")
SETTLED_SECONDS = 2.0
"""Age from which a file's time stamps tell whether it was written again: file systems count time in
steps of up to this."""


@dataclass(frozen=True, slots=True)
class DefinitionFile:
    """The hooks that one file held when it was read."""

    stamp: Stamp
    """Of the file; None if the file must be read again, whatever its stamp is by then."""
    hooks: tuple[Hook, ...]


@dataclass(frozen=True, slots=True)
class FileSource:
    """The definitions in the files of a folder at one moment (a `HookSource`)."""

    files: Mapping[str, DefinitionFile]
    """By path as it was found, in the order of the names."""
    hooks: MappingProxyType[str, Hook]
    secrets: Mapping[tuple[str, str], str] = field(repr=False)
    """The texts of `${env:}` and `${file:}` in the definitions, by kind and name."""

    @classmethod
    def of_nothing(cls) -> "FileSource":
        """The source of an installation without definitions in files."""
        return cls({}, MappingProxyType({}), {})

    def changes(self, before: "FileSource | None") -> Iterator[Change]:
        """The changes that lead from `before` to this; see `HookSource`."""
        old: Mapping[str, DefinitionFile] = before.files if before is not None else {}
        in_force: Mapping[str, Hook] = before.hooks if before is not None else {}
        for path, known in old.items():
            if self.files.get(path) is not known:
                yield from (Delete(hook.id) for hook in known.hooks if hook.id not in self.hooks)
        for path, read in self.files.items():
            if old.get(path) is not read:
                for hook in read.hooks:
                    if in_force.get(hook.id) is not hook:
                        yield Upsert(hook)


def load_hooks(
    path: Path,
    context: LoadContext,
    before: FileSource | None = None,
    clock: Clock | None = None,
    *,
    may_be_empty: bool = False,
) -> FileSource:
    """Every hook of the folder `path` and the folders in it.

    Hidden files and folders are passed over, and of a Kubernetes mount only the folder in use is
    read (`documents.files`); a file under two names is read once. Files that are as they were in
    `before` are not read again, and a hook that is equal to the one in `before` is the same object.

    Raises:
        ConfigError: with every problem of every file. A folder without a single hook is one,
            unless it `may_be_empty`: more often a mount that failed than a wish to call no
            endpoint.
    """
    found = definition_files(path)
    loading = _Loading(context, before, clock or SystemClock())
    loading.keep(found)
    for file in found:
        loading.read(file)
    if not loading.hooks and not loading.diagnostics and not may_be_empty:
        hint = f"put a definition into it, in a file that ends in {', '.join(SUFFIXES)}"
        loading.diagnostics.append(Diagnostic("holds no hook", hint, file=str(path)))
    if loading.diagnostics:
        raise ConfigError(loading.diagnostics)
    return loading.result()


def definition_files(path: Path) -> list[Path]:
    """The files of a folder that may hold definitions, and of the folders in it.

    Raises:
        ConfigError: there is no such folder, or it cannot be listed.
    """
    read = files()
    try:
        return list(_definition_files(read, path, {read.resolve(path)}))
    except OSError as error:
        invalid = unreadable(error)
        raise ConfigError([Diagnostic(invalid.message, invalid.hint, file=str(path))]) from None


def _definition_files(read: Files, folder: Path, seen: set[str]) -> Iterator[Path]:
    for name in read.names(folder):
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

    def __init__(self, context: LoadContext, before: FileSource | None, clock: Clock) -> None:
        self.hooks: dict[str, Hook] = {}
        self.diagnostics: list[Diagnostic] = []
        self._context = context
        self._before = before.hooks if before is not None else MappingProxyType[str, Hook]({})
        is_known = before is not None and context.still_reads(before.secrets)
        self._known = before.files if before is not None and is_known else {}
        self._files: dict[str, DefinitionFile] = {}
        self._paths: dict[str, str] = {}
        """By id: the file and line that used it first."""
        self._clock = clock

    def result(self) -> FileSource:
        return FileSource(self._files, MappingProxyType(self.hooks), self._context.secrets)

    def keep(self, found: Iterable[Path]) -> None:
        """Take over the hooks of the files that have not changed."""
        for file in found:
            known = self._known.get(str(file))
            if known is not None and known.stamp and known.stamp == files().stamp(file):
                self._files[str(file)] = known
        if self._files:
            self.hooks = self._before.copy()
            for path, known in self._known.items():
                if path not in self._files:
                    for hook in known.hooks:
                        del self.hooks[hook.id]

    def read(self, file: Path) -> None:
        """Read a file that is not known."""
        if str(file) in self._files:
            return
        hooks: list[Hook] = []
        try:
            _refuse_special_file(file)
            now, stamp = self._clock.now(), files().stamp(file)
            for document in read_documents(file):
                hooks += self._hook(document, str(file))
        except InvalidValue as invalid:
            diagnostic = Diagnostic(
                invalid.message, invalid.hint, file=str(file), line=invalid.line
            )
            self.diagnostics.append(diagnostic)
        else:
            self._files[str(file)] = DefinitionFile(_settled(stamp, now), tuple(hooks))

    def _hook(self, document: Document, file: str) -> Iterator[Hook]:
        repeated = self._repeated_id(hook_id_of(document), f"{file}:{document.line}")
        try:
            hook = load_document(document, self._context, file, repeated)
        except ConfigError as error:
            self.diagnostics += error.diagnostics
            return
        before = self._before.get(hook.id)
        hook = before if before == hook else hook
        self.hooks[hook.id] = hook
        yield hook

    def _repeated_id(self, hook_id: str, path: str) -> Iterator[Finding]:
        if not hook_id:
            return
        kept = self.hooks.get(hook_id)
        first = self._paths.setdefault(hook_id, f"{kept.file}:{kept.line}" if kept else path)
        if first != path:
            message = f"{hook_id} is already used in {first}"
            yield Finding(("id",), message, "give one of the two another id")


def _settled(stamp: Stamp, now: float) -> Stamp:
    """The stamp, unless the file is so young that another write may leave the same one."""
    if stamp is None or max(stamp[-2:]) > (now - SETTLED_SECONDS) * 1e9:
        return None
    return stamp


def _refuse_special_file(file: Path) -> None:
    # Reading a pipe would wait for a writer. A link that leads nowhere fails when it is read.
    mode = files().mode(file)
    if mode and not S_ISREG(mode):
        raise InvalidValue("is a pipe or a device", "put a regular file in its place")
