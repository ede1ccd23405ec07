"""YAML, read from libyaml's events: lines for every value, bounded depth and aliases, no tags.

Plain scalars are not resolved to numbers, dates or booleans, so the traps of YAML 1.1 (`no`,
`1:30`, `2026-11-24`, `007`) do not exist; only an empty scalar, `~` and `null` are null.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from yaml import CSafeLoader, MarkedYAMLError, YAMLError
from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)
from yaml.reader import ReaderError

from consumer.documents.tree import Document, Place
from consumer.errors import Complaint

MAX_DEPTH = 50
"""Collections inside collections; definitions need four."""
MAX_ALIASED = 100_000
"""Values that the aliases of one document may repeat, nested aliases counted in full."""
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})


class _Mapping(dict[str, Any]):
    """A mapping that knows the line of each key."""

    __slots__ = ("lines",)

    def __init__(self) -> None:
        self.lines: dict[str | int, int] = {}


class _Sequence(list[Any]):
    """A sequence that knows the line of each item."""

    __slots__ = ("lines",)

    def __init__(self) -> None:
        self.lines: dict[str | int, int] = {}


class _OpenMapping:
    """A mapping whose end has not been read yet."""

    __slots__ = ("anchor", "collection", "key", "line", "size")

    def __init__(self, anchor: str | None, line: int) -> None:
        self.collection = _Mapping()
        self.anchor = anchor
        self.line = line
        self.size = 1
        """Values in it, itself included; those behind aliases count each time."""
        self.key: str | None = None
        """The key whose value comes next; None where a key comes next."""

    def add(self, value: Any, line: int) -> None:
        if self.key is None:
            self.key = self._new_key(value, line)
        else:
            self.collection[self.key] = value
            self.key = None

    def _new_key(self, key: Any, line: int) -> str:
        lines = self.collection.lines
        if not isinstance(key, str):
            raise _not_a_key(line)
        if key in lines:
            message = f"`{key}` is already given in line {lines[key]}"
            raise Complaint(message, "keep one of the two", line=line)
        lines[key] = line
        return key


class _OpenSequence:
    """A sequence whose end has not been read yet."""

    __slots__ = ("anchor", "collection", "line", "size")

    key = ""
    """Never None: no key is ever waited for."""

    def __init__(self, anchor: str | None, line: int) -> None:
        self.collection = _Sequence()
        self.anchor = anchor
        self.line = line
        self.size = 1

    def add(self, value: Any, line: int) -> None:
        self.collection.lines[len(self.collection)] = line
        self.collection.append(value)


class _Composer:
    """Builds one document's values. Iterative: the depth of the input costs no stack."""

    def __init__(self) -> None:
        self.root: Any = None
        self.line = 1
        self._open: list[_OpenMapping | _OpenSequence] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._aliased = 0
        self._steps: dict[type[Event], Callable[[Any, int], None]] = {
            ScalarEvent: self._scalar,
            AliasEvent: self._alias,
            MappingStartEvent: partial(self._start, _OpenMapping),
            SequenceStartEvent: partial(self._start, _OpenSequence),
            MappingEndEvent: self._end,
            SequenceEndEvent: self._end,
        }

    def feed(self, event: Any) -> None:
        """Take the next event of the document.

        Raises:
            Complaint: with its line, where the document is not one that hookstream reads.
        """
        step = self._steps.get(type(event))
        if step is not None:  # the stream's own start carries no value
            step(event, event.start_mark.line + 1)

    def _scalar(self, event: ScalarEvent, line: int) -> None:
        if event.tag is not None:
            raise _tagged(line)
        value: str | None = event.value
        if value in _NULLS and event.implicit[0] and not self._at_key():
            value = None
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, 1)
        self._add(value, 1, line)

    def _alias(self, event: AliasEvent, line: int) -> None:
        if event.anchor not in self._anchors:
            raise Complaint(
                f"the alias *{event.anchor} names nothing that ends before it",
                f"write &{event.anchor} at the value that it repeats",
                line=line,
            )
        value, size = self._anchors[event.anchor]
        self._aliased += size
        if self._aliased > MAX_ALIASED:
            raise Complaint(
                f"the aliases repeat more than {MAX_ALIASED:,} values",
                "write the values out, or use fewer aliases",
                line=line,
            )
        self._add(value, size, line)

    def _start(self, kind: type[_OpenMapping | _OpenSequence], event: Any, line: int) -> None:
        if event.tag is not None:
            raise _tagged(line)
        if len(self._open) == MAX_DEPTH:
            raise Complaint(
                f"more than {MAX_DEPTH} collections are nested",
                "take out the brackets or the indentation that nothing needs",
                line=line,
            )
        if self._at_key():
            raise _not_a_key(line)
        self._open.append(kind(event.anchor, line))

    def _end(self, _event: Event, _line: int) -> None:
        done = self._open.pop()
        if done.anchor is not None:
            self._anchors[done.anchor] = (done.collection, done.size)
        self._add(done.collection, done.size, done.line)

    def _at_key(self) -> bool:
        return bool(self._open) and self._open[-1].key is None

    def _add(self, value: Any, size: int, line: int) -> None:
        if self._open:
            top = self._open[-1]
            top.size += size
            top.add(value, line)
        else:
            self.root, self.line = value, line


def _not_a_key(line: int) -> Complaint:
    return Complaint(
        "a key is a list, a mapping or null",
        "put text that begins with a brace in quotes",
        line=line,
    )


def _tagged(line: int) -> Complaint:
    return Complaint("tags (!...) are not used here", "take the tag out", line=line)


def read_yaml(text: str) -> Iterator[Document]:
    """Each document of `text`, in order, those before an error too. A document that is a list
    stands for its items; an empty one is left out.

    Raises:
        Complaint: with its line, where `text` is not YAML or goes beyond the limits above.
    """
    loader = CSafeLoader(text)
    composer = _Composer()
    try:
        while type(event := loader.get_event()) is not StreamEndEvent:
            if type(event) is DocumentStartEvent:
                composer = _Composer()
            elif type(event) is DocumentEndEvent:
                yield from _documents(composer.root, composer.line)
            else:
                composer.feed(event)
    except YAMLError as error:
        raise _unreadable(error, text) from None


def _documents(root: Any, line: int) -> Iterator[Document]:
    if isinstance(root, _Sequence):
        for index, item in enumerate(root):
            yield from _documents(item, root.lines[index])
    elif root is not None:
        yield Document(root, line, partial(_line_of, root, line))


def _line_of(root: Any, line: int, place: Place) -> int:
    value = root
    for step in place:
        if not isinstance(value, _Mapping | _Sequence) or step not in value.lines:
            break
        line = value.lines[step]
        value = value[step]  # type: ignore[index]  # `lines` has exactly the collection's keys
    return line


def _unreadable(error: YAMLError, text: str) -> Complaint:
    mend = "look for tabs, a missing quote or bracket, or uneven indentation here and above"
    if isinstance(error, ReaderError):
        line = text.encode()[: error.position].count(b"\n") + 1
        return Complaint("a character that YAML does not allow", "take it out", line=line)
    if not isinstance(error, MarkedYAMLError) or error.problem_mark is None:
        return Complaint("is not YAML", mend)
    message = f"is not YAML: {error.problem}"
    if error.context and error.context_mark:
        message += f", {error.context} that begins in line {error.context_mark.line + 1}"
    return Complaint(message, mend, line=error.problem_mark.line + 1)
