"""The plainest YAML, line by line: what programs write, and people mostly.

A document of `key: value` and `- item` lines is read here, since the objects that PyYAML makes of
libyaml's events cost several times as much. Nothing is refused here: every mistake, and whatever
is not plainly in this form, is left to `yaml_composer`, which alone says what YAML is. Whatever is
read here is read there to the same values and lines (`tests/properties/test_plain_blocks.py`).
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from consumer.documents.tree import Lines

_MAX_DEPTH = 20
"""Collections inside collections; what goes deeper is left to `yaml_composer`, and its limit."""
NULLS = frozenset({"", "~", "null", "Null", "NULL"})
"""A text without quotes that is one of these is null."""

# What means nothing to YAML inside an unquoted text, where blanks and single colons may join it.
_WORD = r"[\w\-./{}\[\]$+()=&?%@!*,;'\"<>~^|\\]"
_LINE = re.compile(
    rf"""(\ *)
    (-\ +(?=[^\ \#\r\n]))?                                            # an item begins
    (?:([A-Za-z0-9_][A-Za-z0-9_.\-]{{0,99}}):(?:\ +|(?=[\r\n]|\Z)))?  # a key
    (?:((?:[\w/.$+~(]|-(?=\w)){_WORD}*(?:(?:\ +|:){_WORD}+)*)         # a text without quotes,
    |"([\x20!\x23-\x5b\x5d-\x7e\w]*)"                                 # in double or
    |'([\x20-\x26\x28-\x7e\w]*)')?                                    # in single ones
    \ *(?:(?<![^\ ])\#[\x20-\x7e\w]*)?(?:\r\n?|\n)?                   # a comment, the end""",
    re.VERBOSE,
)

_Line = tuple[int, int, str | None, str | None, bool]
"""Indentation, width of the dash with its blanks (0: none), key, value, whether one is written."""


@lru_cache(1024)  # most lines of many definitions are the same few
def _take_apart(text: str) -> _Line | None:
    match = _LINE.fullmatch(text)
    if match is None:
        return None
    indent, dash, key, plain, double, single = match.groups()
    if plain is not None:
        return len(indent), len(dash or ""), key, None if plain in NULLS else plain, True
    quoted = single if double is None else double
    return len(indent), len(dash or ""), key, quoted, quoted is not None


def take_lines(value: Any, lines: Lines) -> Lines:
    """Take out of `lines` those of `value` and of all that is in it."""
    taken: Lines = {}
    _take_lines(value, lines, taken)
    return taken


def _take_lines(value: Any, lines: Lines, taken: Lines) -> None:
    if type(value) is dict:
        inner: Iterable[Any] = value.values()
    elif type(value) is list:
        inner = value
    else:
        return
    taken[id(value)] = lines.pop(id(value))
    for each in inner:
        _take_lines(each, lines, taken)


class _Mapping:
    """A mapping that may go on in the next line, `indent` columns from the left."""

    def __init__(self, indent: int) -> None:
        self.indent = indent
        self.values: dict[str, Any] = {}
        self.lines: list[int] = []
        self.waiting: str | None = None
        """The key whose value may begin in the next line."""


class _Sequence:
    """A sequence that may go on in the next line, `indent` columns from the left."""

    def __init__(self, indent: int) -> None:
        self.indent = indent
        self.values: list[Any] = []
        self.lines: list[int] = []


class PlainBlock:
    """One document, as far as its lines have been added."""

    def __init__(self) -> None:
        self.root: Any = None
        self.line = 1
        """1-based, of the root."""
        self.lines: Lines = {}
        self._open: list[_Mapping | _Sequence] = []

    def add(self, text: str, number: int) -> bool:
        """Add a line, which has this number. False: it, or what it makes of the lines before it,
        is not in this form, and what was made of those means nothing.
        """
        line = _take_apart(text)
        return line is not None and self._add(line, number)

    def _add(self, line: _Line, number: int) -> bool:
        indent, dash, key, value, written = line
        if dash:
            sequence = self._sequence(indent, number)
            if sequence is None:
                return False
            sequence.lines.append(number)
            if key is None:
                sequence.values.append(value)
                return True
            mapping = _Mapping(indent + dash)
            sequence.values.append(mapping.values)
            self._opened(mapping)
        elif key is None:
            return not written  # nothing, or a comment
        else:
            found = self._mapping(indent, number)
            if found is None:
                return False
            mapping = found
        if key in mapping.values:
            return False
        mapping.values[key] = value
        mapping.lines.append(number)
        mapping.waiting = None if written else key
        return True

    def _sequence(self, indent: int, number: int) -> _Sequence | None:
        """The one that an item at `indent` belongs to; None where it has no place."""
        while self._open and self._open[-1].indent > indent:
            self._open.pop()
        top = self._open[-1] if self._open else None
        if isinstance(top, _Sequence) and top.indent == indent:
            return top
        sequence = _Sequence(indent)
        return sequence if self._begin(sequence, number) else None

    def _mapping(self, indent: int, number: int) -> _Mapping | None:
        """The one that a key at `indent` belongs to; None where it has no place."""
        while self._open and self._open[-1].indent > indent:
            self._open.pop()
        if self._open and isinstance(self._open[-1], _Sequence):
            self._open.pop()  # one may stand as far left as the key that it is the value of
        top = self._open[-1] if self._open else None
        if isinstance(top, _Mapping) and top.indent == indent:
            return top
        mapping = _Mapping(indent)
        return mapping if self._begin(mapping, number) else None

    def _begin(self, inner: _Mapping | _Sequence, number: int) -> bool:
        """Whether a collection may begin here, as the root or the value that is waited for."""
        if self._open:
            outer = self._open[-1]
            if isinstance(outer, _Sequence) or outer.waiting is None:
                return False
            outer.values[outer.waiting] = inner.values
            outer.waiting = None
        elif self.root is None:
            self.root, self.line = inner.values, number
        else:
            return False
        return self._opened(inner)

    def _opened(self, inner: _Mapping | _Sequence) -> bool:
        self.lines[id(inner.values)] = inner.lines
        self._open.append(inner)
        return len(self._open) <= _MAX_DEPTH
