"""The values of YAML documents, composed from libyaml's events: lines for every value, bounded
depth and aliases, no tags.

Plain scalars are not resolved to numbers, dates or booleans, so the traps of YAML 1.1 (`no`,
`1:30`, `2026-11-24`, `007`) do not exist; only an empty scalar, `~` and `null` are null. Those that
YAML 1.2's core schema takes for numbers or booleans are marked as `Unquoted`.

A hundred thousand definitions are eight million events, so the code for each event is short.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from yaml import MarkedYAMLError, YAMLError
from yaml._yaml import CParser
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
)
from yaml.reader import ReaderError

from consumer.documents.tree import RESOLVED, Lines, Unquoted
from consumer.errors import InvalidValue

MAX_DEPTH = 50
"""Collections inside collections; definitions need four."""
MAX_ALIASED = 100_000
"""Values that the aliases of one document may repeat, nested aliases counted in full."""
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
"""A scalar without quotes that is one of these is null."""
_RESOLVED_STARTS: Final = frozenset("+-.0123456789tTfF")


class Composed(NamedTuple):
    """One document."""

    root: Any
    line: int
    """1-based, of its first value."""
    lines: Lines


def compose(text: str) -> Iterator[Composed]:
    """The documents of `text`.

    Raises:
        InvalidValue: with its line, if it is not YAML or goes beyond the limits above.
    """
    next_event: Callable[[], Any] = CParser(text).get_event
    composer = _Composer()
    try:
        for event in iter(next_event, None):
            kind = type(event)
            step = _STEPS.get(kind)
            if step is not None:
                step(composer, event)
            elif kind is DocumentStartEvent:
                composer = _Composer()
            elif kind is DocumentEndEvent:
                yield Composed(composer.root, composer.line, composer.lines)
    except YAMLError as error:
        raise _unreadable(error, text) from None


class _OpenMapping:
    """A mapping whose end has not been read yet."""

    __slots__ = ("anchor", "collection", "inner", "key", "line", "lines")

    def __init__(self, anchor: str | None, line: int) -> None:
        self.collection: dict[str, Any] = {}
        self.lines: list[int] = []
        self.anchor = anchor
        self.line = line
        self.inner = 0
        """Values inside those in it; the ones behind aliases count each time."""
        self.key: str | None = None
        """The key whose value comes next; None if a key comes next."""

    @property
    def size(self) -> int:
        """Values in it, itself included."""
        return 1 + 2 * len(self.collection) + self.inner

    def add(self, value: Any, line: int) -> None:
        if self.key is not None:
            self.collection[self.key] = value
            self.key = None
            return
        if not isinstance(value, str):
            raise _not_a_key(line)
        if value in self.collection:
            first = self.lines[list(self.collection).index(value)]
            message = f"`{value}` is already given in line {first}"
            raise InvalidValue(message, "keep one of the two", line=line)
        self.key = value
        self.lines.append(line)


class _OpenSequence:
    """A sequence whose end has not been read yet."""

    __slots__ = ("anchor", "collection", "inner", "line", "lines")

    key = ""
    """Never None: no key is ever waited for."""

    def __init__(self, anchor: str | None, line: int) -> None:
        self.collection: list[Any] = []
        self.lines: list[int] = []
        self.anchor = anchor
        self.line = line
        self.inner = 0

    @property
    def size(self) -> int:
        """See `_OpenMapping`."""
        return 1 + len(self.collection) + self.inner

    def add(self, value: Any, line: int) -> None:
        self.collection.append(value)
        self.lines.append(line)


class _Composer:
    """Builds one document's values. Iterative: the depth of the input costs no stack."""

    def __init__(self) -> None:
        self.root: Any = None
        self.line = 1
        self.lines: Lines = {}
        self._open: list[_OpenMapping | _OpenSequence] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._aliased = 0

    # Each method takes the next event of the document. It raises `InvalidValue` with the line if
    # the document is not one that hookstream reads.

    def scalar(self, event: Any) -> None:
        line = event.start_mark.line + 1
        if event.tag is not None:
            raise _tagged(line)
        value: str | None = event.value
        if value in _NULLS and event.implicit[0] and not self._at_key():
            value = None
        elif value and value[0] in _RESOLVED_STARTS and event.implicit[0]:
            value = Unquoted(value) if RESOLVED.fullmatch(value) else value
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, 1)
        if self._open:
            self._open[-1].add(value, line)
        else:
            self.root, self.line = value, line

    def alias(self, event: Any) -> None:
        line = event.start_mark.line + 1
        if event.anchor not in self._anchors:
            raise InvalidValue(
                f"the alias *{event.anchor} names nothing that ends before it",
                f"write &{event.anchor} at the value that it repeats",
                line=line,
            )
        value, size = self._anchors[event.anchor]
        self._aliased += size
        if self._aliased > MAX_ALIASED:
            raise InvalidValue(
                f"the aliases repeat more than {MAX_ALIASED:,} values",
                "write the values out, or use fewer aliases",
                line=line,
            )
        top = self._open[-1]  # an alias cannot be a document: it has no anchor before it
        top.inner += size - 1
        top.add(value, line)

    def start_mapping(self, event: Any) -> None:
        self._start(_OpenMapping, event)

    def start_sequence(self, event: Any) -> None:
        self._start(_OpenSequence, event)

    def _start(self, kind: type[_OpenMapping | _OpenSequence], event: Any) -> None:
        line = event.start_mark.line + 1
        if event.tag is not None:
            raise _tagged(line)
        if len(self._open) == MAX_DEPTH:
            raise InvalidValue(
                f"more than {MAX_DEPTH} collections are nested",
                "take out the brackets or the indentation that nothing needs",
                line=line,
            )
        if self._at_key():
            raise _not_a_key(line)
        self._open.append(kind(event.anchor, line))

    def end(self, _event: Event) -> None:
        done = self._open.pop()
        self.lines[id(done.collection)] = done.lines
        if done.anchor is not None:
            self._anchors[done.anchor] = (done.collection, done.size)
        if self._open:
            top = self._open[-1]
            top.inner += done.size - 1
            top.add(done.collection, done.line)
        else:
            self.root, self.line = done.collection, done.line

    def _at_key(self) -> bool:
        return bool(self._open) and self._open[-1].key is None


_STEPS: dict[type[Event], Callable[[_Composer, Any], None]] = {
    ScalarEvent: _Composer.scalar,
    AliasEvent: _Composer.alias,
    MappingStartEvent: _Composer.start_mapping,
    SequenceStartEvent: _Composer.start_sequence,
    MappingEndEvent: _Composer.end,
    SequenceEndEvent: _Composer.end,
}


def _not_a_key(line: int) -> InvalidValue:
    return InvalidValue(
        "a key is a list, a mapping or null",
        "put text that begins with a brace in quotes",
        line=line,
    )


def _tagged(line: int) -> InvalidValue:
    return InvalidValue("tags (!...) are not used here", "take the tag out", line=line)


def _unreadable(error: YAMLError, text: str) -> InvalidValue:
    hint = "look for tabs, a missing quote or bracket, or uneven indentation here and above"
    if isinstance(error, ReaderError):
        line = text.encode()[: error.position].count(b"\n") + 1
        return InvalidValue("a character that YAML does not allow", "take it out", line=line)
    if not isinstance(error, MarkedYAMLError) or error.problem_mark is None:
        return InvalidValue("is not YAML", hint)
    message = f"is not YAML: {error.problem}"
    if error.context and error.context_mark:
        message += f", {error.context} that begins in line {error.context_mark.line + 1}"
    return InvalidValue(message, hint, line=error.problem_mark.line + 1)
