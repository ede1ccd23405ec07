"""The two places that settings come from, and which of them each value came from."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from consumer.documents.reader import read_documents
from consumer.documents.tree import Document, DocumentPath, without_nulls
from consumer.errors import ConfigError, Diagnostic, InvalidValue
from consumer.settings.model import Settings

PREFIX = "HOOKSTREAM_"
_LEVELS = "__"


class EnvironmentSource:
    """`HOOKSTREAM_SECTION__KEY`, and `HOOKSTREAM_SOURCES` for the one setting without a section.

    Other names are not ours to judge: Kubernetes puts `HOOKSTREAM_PORT_9464_TCP` and the like
    into every container beside a service of that name. An empty value counts as unset.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.diagnostics = list(_misspelt_names(environ))
        self.names: dict[DocumentPath, str] = {}
        self.values: dict[str, Any] = {}
        for name in sorted(environ):
            if environ[name] and _is_setting(name):
                path = tuple(name.removeprefix(PREFIX).lower().split(_LEVELS))
                self.names[path] = name
                if not _put(self.values, path, environ[name]):
                    message = "sets a part of a setting that is also set whole"
                    self.diagnostics.append(Diagnostic(message, "unset one of the two", file=name))

    def name_of(self, path: DocumentPath) -> str | None:
        """The variable that set the value at `path`, or a value in it or around it; if a part is
        missing, another part of the same setting.
        """
        setting = path[:2]
        return next(
            (
                name
                for wanted in (path, setting)
                for known, name in self.names.items()
                if _related(known, wanted)
            ),
            None,
        )


class FileSource:
    """The settings file. Its relative paths start from the file's own folder."""

    def __init__(self, file: Path | None) -> None:
        self.file = file
        self.document = _only_document(file) if file else None
        data = self.document.data if self.document else {}
        # A section whose lines are all commented out is null: it means the default.
        sections = {
            section: without_nulls(values) for section, values in without_nulls(data).items()
        }
        self.values = _with_whole_paths(sections, file.parent) if file else sections

    def line_of(self, path: DocumentPath) -> int:
        """The 1-based line of a value; 0 without a file."""
        return self.document.locate(path) if self.document else 0


def _is_setting(name: str) -> bool:
    return name.startswith(PREFIX) and (_LEVELS in name or name == f"{PREFIX}SOURCES")


def _misspelt_names(environ: Mapping[str, str]) -> Iterator[Diagnostic]:
    """Names of settings whose levels are joined by one underscore. Left alone, they would be
    settings that silently do nothing. A value with `://` is Kubernetes' `..._ADMIN_PORT`.
    """
    for section, field in Settings.model_fields.items():
        for key in _fields_of(field.annotation):
            name = f"{PREFIX}{section}_{key}".upper()
            if "://" not in environ.get(name, "://"):
                hint = f"write {PREFIX}{section.upper()}{_LEVELS}{key.upper()}"
                yield Diagnostic("joins section and key by one underscore", hint, file=name)


def _put(values: dict[str, Any], path: tuple[str, ...], value: str) -> bool:
    """Whether the value could be put there: a text that is there already cannot have parts."""
    inner: Any = values
    for step in path[:-1]:
        inner = inner.setdefault(step, {})
        if not isinstance(inner, dict):
            return False
    inner[path[-1]] = value
    return True


def _fields_of(annotation: Any) -> Mapping[str, FieldInfo]:
    """The fields of a section's model; none if the annotation is no section."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation.model_fields
    return {}


def _related(known: DocumentPath, path: DocumentPath) -> bool:
    shared = min(len(known), len(path))
    return known[:shared] == path[:shared]


def _only_document(file: Path) -> Document | None:
    try:
        documents = list(read_documents(file))
    except InvalidValue as invalid:
        raise _refused(file, invalid.line, invalid.message, invalid.hint) from None
    for document in documents[:1]:
        if not isinstance(document.data, dict):
            raise _refused(file, document.line, "is no mapping of sections", "write `kafka:` etc.")
    for document in documents[1:]:
        raise _refused(file, document.line, "begins a second document", "keep one document")
    return documents[0] if documents else None


def _refused(file: Path, line: int, message: str, hint: str) -> ConfigError:
    return ConfigError([Diagnostic(message, hint, file=str(file), line=line)])


def _is_path(annotation: Any) -> bool:
    return annotation is Path or any(map(_is_path, get_args(annotation)))


def _with_whole_paths(sections: dict[str, Any], folder: Path) -> dict[str, Any]:
    whole = dict(sections)
    for section, field in Settings.model_fields.items():
        values = sections.get(section, {})
        if isinstance(values, dict) and _fields_of(field.annotation):
            paths = {
                name: str(folder / values[name])
                for name, inner in _fields_of(field.annotation).items()
                if _is_path(inner.annotation) and isinstance(values.get(name), str) and values[name]
            }
            whole[section] = {**values, **paths}
    if isinstance(whole["hooks"], dict):
        whole["hooks"].setdefault("path", str(folder / "hooks"))
    return whole
