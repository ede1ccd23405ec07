"""JSON (RFC 8259) by the standard library, with lines that are looked for when they are needed."""

import re
from collections.abc import Iterator
from functools import partial
from json import JSONDecodeError, JSONDecoder
from typing import Any, NoReturn, cast

from consumer.documents.tree import Document, DocumentPath, Unquoted
from consumer.errors import InvalidValue

_SPACE = re.compile(r"[ \t\r\n]*")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


class _RepeatedKeyError(Exception):
    """An object holds one key twice; the decoder does not know its line."""


def read_json(text: str) -> Iterator[Document]:
    """The document in `text`; an array stands for its items, as in YAML.

    Raises:
        InvalidValue: with its line, if it is not JSON, repeats a key or holds half a surrogate
            pair, which no UTF-8 text can carry.
    """
    reader = _Reader(text)
    if reader.peek() == "[":
        yield from _items(reader)
    elif reader.peek():
        yield reader.document()
    if reader.peek():
        raise reader.broken("more text follows")


def _items(reader: "_Reader") -> Iterator[Document]:
    separator = reader.peek_behind()
    while separator != "]":
        yield reader.document()
        if (separator := reader.peek()) not in {",", "]"}:
            raise reader.broken("expecting ',' or ']'")
        if separator == ",":
            reader.peek_behind()
    reader.peek_behind()


class _Reader:
    """A position in a text, and its line."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._line = 1
        """Of `_counted`, which is not behind the position."""
        self._counted = 0

    def peek(self) -> str:
        """Go to the next character that is no space; "" at the end."""
        self._position = _skip(self._text, self._position)
        return self._text[self._position : self._position + 1]

    def peek_behind(self) -> str:
        """Go to the next such character behind the one that is here."""
        self._position += 1
        return self.peek()

    def document(self) -> Document:
        """The value that begins here; go behind it."""
        try:
            value, end = _DECODER.raw_decode(self._text, self._position)
        except JSONDecodeError as error:
            raise self.broken(error.msg[:1].lower() + error.msg[1:], error.pos) from None
        except _RepeatedKeyError:
            raise _repeated(self._text[self._position :], self._line_at(self._position)) from None
        except RecursionError:
            raise self.broken("too many collections are nested") from None
        except ValueError as error:
            raise self.broken(str(error)) from None
        text, line = self._text[self._position : end], self._line_at(self._position)
        self._position = end
        return _document(value, text, line)

    def broken(self, what: str, at: int | None = None) -> InvalidValue:
        """`what` is wrong here, or at another offset behind it."""
        return InvalidValue(
            f"is not JSON: {what}",
            "look for a missing comma, quote or bracket here and above",
            line=self._line_at(self._position if at is None else at),
        )

    def _line_at(self, position: int) -> int:
        self._line += self._text.count("\n", self._counted, position)
        self._counted = position
        return self._line


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _RepeatedKeyError
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = JSONDecoder(
    object_pairs_hook=_unique,
    parse_int=Unquoted,
    parse_float=Unquoted,
    parse_constant=_refuse_constant,
)


def _skip(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _document(value: Any, text: str, line: int) -> Document:
    locate = partial(_line_of, value, text, line)
    if _ESCAPED_SURROGATE.search(text) and (path := _half_pair(value, ())) is not None:
        raise InvalidValue(
            "holds half a surrogate pair (\\ud800 to \\udfff)",
            "write the character itself, or both halves",
            line=locate(path),
        )
    return Document(value, line, locate)


def _half_pair(value: Any, path: DocumentPath) -> DocumentPath | None:
    if isinstance(value, str):
        return path if _SURROGATE.search(value) else None
    if isinstance(value, dict):
        if any(map(_SURROGATE.search, value)):
            return path
        pairs: Iterator[tuple[str | int, Any]] = iter(value.items())
    elif isinstance(value, list):
        pairs = enumerate(value)
    else:
        return None
    found = (_half_pair(item, (*path, step)) for step, item in pairs)
    return next((inner for inner in found if inner is not None), None)


def _line_of(value: Any, text: str, line: int, path: DocumentPath) -> int:
    nearest = _only_such_key(value, text, path)
    if nearest < 0:
        nearest = depth = 0
        for position, offset in _walk(text):
            shared = len(position)
            if shared > depth and position == path[:shared]:
                nearest, depth = offset, shared
                if depth == len(path):
                    break
    return line + text.count("\n", 0, nearest)


def _only_such_key(value: Any, text: str, path: DocumentPath) -> int:
    """The offset of a member of the root if its key is the only string of that spelling in the
    whole value; below 0 if that is not sure. A walk to it takes longer than the whole decoding, and
    every definition is asked for the line of its URI.
    """
    if len(path) != 1 or not isinstance(value, dict) or path[0] not in value:
        return -1
    key = f'"{path[0]}"'  # without a backslash, whatever looks like a whole string is one
    certain = "\\" not in text and text.count(key) == 1
    return text.find(key) if certain else -1


def _repeated(text: str, line: int) -> InvalidValue:
    seen: dict[DocumentPath, int] = {}
    path, offset = next(
        (path, offset) for path, offset in _walk(text) if seen.setdefault(path, offset) != offset
    )
    first, again = (line + text.count("\n", 0, at) for at in (seen[path], offset))
    return InvalidValue(
        f"`{path[-1]}` is already given in line {first}", "keep one of the two", line=again
    )


def _walk(text: str) -> Iterator[tuple[DocumentPath, int]]:
    """Every member and item below the value in `text`, with the offset of its first character.
    The decoder has read that value before, so its tokens are known to be in order.
    """
    steps: list[str | int | None] = []  # of each open collection the index, or the key if read
    for token in _TOKEN.finditer(text):
        mark = token[0]
        if mark == ",":
            steps[-1] = steps[-1] + 1 if isinstance(steps[-1], int) else None
        elif mark in "}]":
            steps.pop()
        elif steps and steps[-1] is None:
            steps[-1] = _DECODER.decode(mark)
            yield cast("DocumentPath", tuple(steps)), token.start()
        elif mark != ":":
            if steps and isinstance(steps[-1], int):
                yield cast("DocumentPath", tuple(steps)), token.start()
            if mark in "{[":
                steps.append(None if mark == "{" else 0)
        if not steps:
            return
