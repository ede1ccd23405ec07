"""YAML documents, with the line of each value."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from consumer.documents.tree import Document, DocumentPath, Lines
from consumer.documents.yaml_composer import compose


def read_yaml(text: str) -> Iterator[Document]:
    """Each document of `text`, in order, those before an error too. A document that is a list
    stands for its items; an empty one is left out.

    Raises:
        InvalidValue: with its line, if it is not YAML or goes beyond the limits of `yaml_composer`.
    """
    for root, line, lines in compose(text):
        yield from _documents(root, line, lines)


def _documents(root: Any, line: int, lines: Lines) -> Iterator[Document]:
    if isinstance(root, list):
        for item, its_line in zip(root, lines[id(root)], strict=True):
            yield from _documents(item, its_line, lines)
    elif root is not None:
        yield Document(root, line, partial(_line_of, root, line, lines))


def _line_of(root: Any, line: int, lines: Lines, path: DocumentPath) -> int:
    value = root
    for step in path:
        known = lines.get(id(value), ())
        steps: list[str | int] = list(value if isinstance(value, dict) else range(len(known)))
        if step not in steps:
            break
        line = known[steps.index(step)]
        value = value[step]
    return line
