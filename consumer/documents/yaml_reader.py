"""Reads YAML documents and their lines: those in the plainest form by `yaml_block`, all others by
libyaml (`yaml_composer`).
"""

from collections.abc import Iterator
from functools import partial
from io import StringIO
from itertools import islice
from typing import Any, TextIO

from consumer.documents.tree import Document, DocumentPath, Lines
from consumer.documents.yaml_block import PlainBlock, take_lines
from consumer.documents.yaml_composer import compose
from consumer.throttle import unhurried

_BLANK = frozenset({"", " ", "\t", "\r", "\n"})
"""What may follow `---`; the end of the text, too."""


def read_yaml(source: str | TextIO) -> Iterator[Document]:
    """Each document of `source`, in order, those before an error too. A document that is a list
    stands for its items; an empty one is left out. A file is read as it is needed; it must keep
    its line ends (`newline=""`).

    Raises:
        Complaint: with its line, if it is not YAML or goes beyond the limits of `yaml_composer`.
    """
    stream = StringIO(source, newline="") if isinstance(source, str) else source
    number = 1
    for lines in _parts(stream):
        block, first = PlainBlock(), number
        number += len(lines)
        if _add_all(block, lines, first):
            documents = _let_go(block.root, block.line, block.lines)
        else:
            documents = _composed("".join(lines), first - 1)
        _empty(lines)
        yield from documents


def _add_all(block: PlainBlock, lines: list[str], number: int) -> bool:
    marked = lines[0].rstrip("\r\n ") == "---"
    for at, line in enumerate(unhurried(islice(lines, marked, None)), number + marked):
        if not block.add(line, at):
            return False
    return True


def _empty(lines: list[str]) -> None:
    # Freed at once, millions of them would hold up the other threads for a long time.
    for _ in unhurried(range(0, len(lines), 1_000)):
        del lines[-1_000:]


def _parts(stream: TextIO) -> Iterator[list[str]]:
    """The lines of one document each, since `---` at the beginning of a line can be nothing but
    the next one's start (YAML 1.2.2, section 9.1.2). Directives stand before it: where there is
    one, the rest is not divided.
    """
    lines: list[str] = []
    divided = True
    for line in unhurried(stream):
        if line.startswith(("---", "%")):
            divided = divided and line[0] != "%"
            if divided and lines and line[3:4] in _BLANK:
                yield lines
                lines = []
        lines.append(line)
    if lines:
        yield lines


def _composed(text: str, before: int) -> Iterator[Document]:
    for root, line, lines in compose(text, before):
        yield from _documents(root, line, lines)


def _documents(root: Any, line: int, lines: Lines) -> Iterator[Document]:
    if isinstance(root, list):
        for item, its_line in zip(root, lines[id(root)], strict=True):
            yield from _documents(item, its_line, lines)
    elif root is not None:
        yield Document(root, line, partial(_line_of, root, line, lines))


def _let_go(root: Any, line: int, lines: Lines) -> Iterator[Document]:
    """As `_documents`, of what has no aliases: each document is freed by itself, see `_empty`."""
    if isinstance(root, list):
        for at, its_line in enumerate(lines.pop(id(root))):
            item, root[at] = root[at], None
            yield from _let_go(item, its_line, take_lines(item, lines))
    else:
        yield from _documents(root, line, lines)


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
