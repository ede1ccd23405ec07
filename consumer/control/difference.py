"""What differs between two definitions, field by field, as people read it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from consumer.documents.tree import RESOLVED, DocumentPath, spelling
from consumer.documents.yaml_writer import Quoted, write_yaml


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field of which two definitions have different values."""

    field: str
    """Its path as people write it: `headers[0].value`."""
    before: str | None
    """The value as text, a list as JSON; None: there is none."""
    after: str | None


def as_written(value: Any) -> Any:
    """JSON values as the reader of a definition takes them: scalars as text, null members left
    out. Values with the same written form mean the same, but for those of `when`.
    """
    if isinstance(value, Mapping):
        return {key: as_written(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [as_written(item) for item in value]
    if isinstance(value, bool | int | float):
        return orjson.dumps(value).decode()
    return str(value) if isinstance(value, str) else value


def written_definition(definition: Mapping[str, Any]) -> dict[str, Any]:
    """The written form of a definition: those with the same one mean the same. In its `when` a text
    that could be a number or a boolean has quotation marks, since `"1000"` is not `1000` there.
    """
    return {
        name: as_written(_marked(value) if name == "when" else value)
        for name, value in definition.items()
        if value is not None
    }


def definition_yaml(definition: Mapping[str, Any]) -> str:
    """A definition, or some of its fields, as YAML from which the reader makes the same hook."""
    return write_yaml(
        {
            name: _quoted(value) if name == "when" else as_written(value)
            for name, value in definition.items()
            if value is not None
        }
    )


def _marked(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _marked(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_marked(item) for item in value]
    if type(value) is str and (value.startswith('"') or RESOLVED.fullmatch(value)):
        return orjson.dumps(value).decode()
    return value


def _quoted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _quoted(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_quoted(item) for item in value]
    if type(value) is str and RESOLVED.fullmatch(value):
        return Quoted(value)
    return str(value) if isinstance(value, str) else value


def difference(
    before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> list[FieldChange]:
    """The fields that differ, in the order of `after`, then those that only `before` has. None: no
    definition.
    """
    old = dict(_leaves(written_definition(before or {}), ()))
    new = dict(_leaves(written_definition(after or {}), ()))
    paths = [*new, *(path for path in old if path not in new)]
    return [
        FieldChange(spelling(path), _text(old.get(path)), _text(new.get(path)))
        for path in paths
        if old.get(path) != new.get(path)
    ]


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else orjson.dumps(value).decode()


def _leaves(value: Any, path: DocumentPath) -> Iterator[tuple[DocumentPath, Any]]:
    """The values inside with their paths. A list of scalars is one value, and so is what is empty:
    `select: [a, b]` changes as a whole.
    """
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _leaves(item, (*path, key))
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        for index, item in enumerate(value):
            yield from _leaves(item, (*path, index))
    elif path:
        yield path, value
