"""JSON (RFC 8259) with lines: parsed by the standard library, placed only when somebody asks."""

import re
from collections.abc import Iterator
from functools import partial
from json import JSONDecodeError, JSONDecoder
from typing import Any, NoReturn, cast

from consumer.documents.tree import Document, Place
from consumer.errors import Complaint

_SPACE = re.compile(r"[ \t\r\n]*")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


class _RepeatedKeyError(Exception):
    """An object holds one key twice; the decoder cannot tell where."""


def read_json(text: str) -> Iterator[Document]:
    """The document in `text`; an array stands for its items, as in YAML.

    Raises:
        Complaint: with its line, where `text` is not JSON, repeats a key or holds half a
            surrogate pair, which no UTF-8 text can carry.
    """
    start = _skip(text, 0)
    if start == len(text):
        return
    line = 1 + text.count("\n", 0, start)
    if text[start] != "[":
        value, end = _decode(text, start)
        _expect_end(text, end)
        yield _document(value, text, (start, end), line)
        return
    counted = start
    for value, begin, end in _items(text, start):
        line += text.count("\n", counted, begin)
        counted = begin
        yield _document(value, text, (begin, end), line)


def _items(text: str, start: int) -> Iterator[tuple[Any, int, int]]:
    position = _skip(text, start + 1)
    separator = "" if text.startswith("]", position) else ","
    while separator == ",":
        value, end = _decode(text, position)
        yield value, position, end
        position = _skip(text, end)
        separator = text[position : position + 1]
        if separator not in {",", "]"}:
            raise _broken("expecting ',' or ']'", text, position)
        position = _skip(text, position + 1) if separator == "," else position
    _expect_end(text, position + 1)


def _decode(text: str, start: int) -> tuple[Any, int]:
    try:
        return _DECODER.raw_decode(text, start)
    except JSONDecodeError as error:
        raise _broken(error.msg[:1].lower() + error.msg[1:], text, error.pos) from None
    except _RepeatedKeyError:
        raise _repeated(text, start) from None
    except RecursionError:
        raise _broken("too many collections are nested", text, start) from None
    except ValueError as error:
        raise _broken(str(error), text, start) from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _RepeatedKeyError
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = JSONDecoder(
    object_pairs_hook=_unique, parse_int=str, parse_float=str, parse_constant=_refuse_constant
)


def _skip(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _expect_end(text: str, position: int) -> None:
    position = _skip(text, position)
    if position != len(text):
        raise _broken("more text follows", text, position)


def _broken(what: str, text: str, position: int) -> Complaint:
    return Complaint(
        f"is not JSON: {what}",
        "look for a missing comma, quote or bracket here and above",
        line=1 + text.count("\n", 0, position),
    )


def _document(value: Any, text: str, span: tuple[int, int], line: int) -> Document:
    locate = partial(_line_of, value, text, span, line)
    if _ESCAPED_SURROGATE.search(text, *span) and (place := _half_pair(value, ())) is not None:
        raise Complaint(
            "holds half a surrogate pair (\\ud800 to \\udfff)",
            "write the character itself, or both halves",
            line=locate(place),
        )
    return Document(value, line, locate)


def _half_pair(value: Any, place: Place) -> Place | None:
    if isinstance(value, str):
        return place if _SURROGATE.search(value) else None
    if isinstance(value, dict):
        if any(map(_SURROGATE.search, value)):
            return place
        pairs: Iterator[tuple[str | int, Any]] = iter(value.items())
    elif isinstance(value, list):
        pairs = enumerate(value)
    else:
        return None
    found = (_half_pair(item, (*place, step)) for step, item in pairs)
    return next((inner for inner in found if inner is not None), None)


def _line_of(value: Any, text: str, span: tuple[int, int], line: int, place: Place) -> int:
    start = span[0]
    nearest = _only_such_key(value, text, span, place)
    if nearest < 0:
        nearest, depth = start, 0
        for position, offset in _walk(text, start):
            shared = len(position)
            if shared > depth and position == place[:shared]:
                nearest, depth = offset, shared
                if depth == len(place):
                    break
    return line + text.count("\n", start, nearest)


def _only_such_key(value: Any, text: str, span: tuple[int, int], place: Place) -> int:
    """The offset of a member of the root, where its key is the only string of that spelling in the
    whole value; below 0 where that is not sure. To walk there takes longer than to decode it all,
    and every definition is asked for the line of its URI.
    """
    if len(place) != 1 or not isinstance(value, dict) or place[0] not in value:
        return -1
    key = f'"{place[0]}"'  # without a backslash, whatever looks like a whole string is one
    certain = text.find("\\", *span) < 0 and text.count(key, *span) == 1
    return text.find(key, *span) if certain else -1


def _repeated(text: str, start: int) -> Complaint:
    seen: dict[Place, int] = {}
    place, offset = next(
        (place, offset)
        for place, offset in _walk(text, start)
        if seen.setdefault(place, offset) != offset
    )
    line, again = (1 + text.count("\n", 0, at) for at in (seen[place], offset))
    return Complaint(
        f"`{place[-1]}` is already given in line {line}", "keep one of the two", line=again
    )


def _walk(text: str, start: int) -> Iterator[tuple[Place, int]]:
    """Every member and item below the value at `start`, with the offset where it begins.
    The decoder has read that value before, so its tokens are known to be in order.
    """
    steps: list[str | int | None] = []  # of each open collection the index, or the key if read
    for token in _TOKEN.finditer(text, start):
        mark = token[0]
        if mark == ",":
            steps[-1] = steps[-1] + 1 if isinstance(steps[-1], int) else None
        elif mark in "}]":
            steps.pop()
        elif steps and steps[-1] is None:
            steps[-1] = _DECODER.decode(mark)
            yield cast("Place", tuple(steps)), token.start()
        elif mark != ":":
            if steps and isinstance(steps[-1], int):
                yield cast("Place", tuple(steps)), token.start()
            if mark in "{[":
                steps.append(None if mark == "{" else 0)
        if not steps:
            return
