"""What differs between two definitions, field by field, as people read it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from consumer.documents.tree import DocumentPath, spelling


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
    out. Definitions with the same written form mean the same.
    """
    if isinstance(value, Mapping):
        return {key: as_written(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [as_written(item) for item in value]
    if isinstance(value, bool | int | float):
        return orjson.dumps(value).decode()
    return value


def difference(
    before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> list[FieldChange]:
    """The fields that differ, in the order of `after`, then those that only `before` has. None: no
    definition.
    """
    old = dict(_leaves(as_written(before or {}), ()))
    new = dict(_leaves(as_written(after or {}), ()))
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
