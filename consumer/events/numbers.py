"""Numbers that JSON libraries round, kept as they are written (docs/reference/events.md#numbers).

orjson turns an integer beyond 64 bits and a decimal of more than 17 digits into the nearest double,
and refuses a number beyond the doubles (`1e400`), which RFC 8259 allows.
"""

import re
from collections.abc import Iterator
from itertools import islice
from math import inf
from secrets import token_hex
from typing import Any, Final

import orjson

LONG_NUMBER: Final = 19
"""Digits, the decimal point among them: what is shorter keeps its value in 64 bits or a double."""
MAX_LONG_NUMBERS: Final = 10_000
"""In one text: no request has room for as many, and each costs some microseconds."""
_STRIDE: Final = 9
_CLASSES: Final = bytes(ord("0") if byte in b"0123456789." else 0 for byte in range(256))
_TWO_SAMPLES: Final = b"00"
_LONG_RUN: Final = b"0" * LONG_NUMBER
# Each begins and ends as a number does, which is all that a regular expression can find quickly.
_CANDIDATE: Final = re.compile(
    rb"[-0-9](?<![0-9.eE+\-][-0-9])(?=[0-9.]{18}|[0-9.]*+[eE][+-]?[0-9]{3})[0-9.]*+"
    rb"(?:[eE][+-]?[0-9]++)?(?![0-9.eE+\-])"
)
# RFC 8259 section 6.
_NUMBER: Final = re.compile(
    rb"-?(?P<mantissa>(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?)(?P<power>[eE][+-]?[0-9]++)?"
)
_INTEGERS: Final = range(-(2**63), 2**64)
_WIDEST_INTEGER: Final = 20
"""Characters of an integer of 64 bits, its sign among them."""
_EXACT_DIGITS: Final = 17
"""As many digits as a double is written with."""
_MARK: Final = token_hex(16).encode()
"""Begins what stands in for a long number while the text is decoded. No sender can know it."""


class TooManyError(ValueError):
    """The text holds more long numbers than can be kept in time; the message says so."""


class LongNumber:
    """A number of an event that neither 64 bits nor a double can hold."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text
        """As its sender wrote it, in JSON's spelling."""

    @property
    def is_integer(self) -> bool:
        """Whether it has neither a fraction nor an exponent."""
        return self.text.lstrip("-").isdecimal()


def as_written(value: object) -> orjson.Fragment:
    """For `orjson.dumps(default=...)`: a `LongNumber` in a document becomes JSON again."""
    if isinstance(value, LongNumber):
        return orjson.Fragment(value.text)
    raise TypeError


def may_be_rounded(text: bytes) -> bool:
    """Whether `text` may hold a number that is too long for orjson; true for few others.

    A run of 19 characters has two neighbours among every ninth, so that most texts cost a tenth of
    a look at each. Such a run of digits alone, as many systems' ids are, has 64 bits.
    """
    if _TWO_SAMPLES not in text[::_STRIDE].translate(_CLASSES):
        return False
    classes = text.translate(_CLASSES)
    start = classes.find(_LONG_RUN)
    while start >= 0:
        end = start + LONG_NUMBER
        is_longer = classes[end : end + 1] == b"0"
        if is_longer or text[start - 1 : start] == b"-" or b"." in text[start:end]:
            return True
        start = classes.find(_LONG_RUN, end)
    return False


def loads_exactly(text: bytes) -> Any:
    """The JSON value in `text`, as orjson decodes it, but each number that it would round is a
    `LongNumber`.

    Nothing is accepted that orjson would not accept with a short number in the place of each.

    Raises:
        orjson.JSONDecodeError: `text` is not JSON.
        TooManyError: it holds more than `MAX_LONG_NUMBERS`.
    """
    found = list(islice(_candidates(text), MAX_LONG_NUMBERS + 1))
    if len(found) > MAX_LONG_NUMBERS:
        raise TooManyError(
            f"more than {MAX_LONG_NUMBERS} numbers have {LONG_NUMBER} digits or more"
        )
    spans = [(start, end) for start, end in found if _is_long(text[start:end])]
    if not spans:
        return orjson.loads(text)
    # As wide as they are, so that an error names the right column.
    orjson.loads(_with_parts(text, spans, [b"0".ljust(end - start) for start, end in spans]))
    marked = [b'"' + _MARK + text[start:end] + b'"' for start, end in spans]
    return _unmarked(orjson.loads(_with_parts(text, spans, marked)))


def _candidates(text: bytes) -> Iterator[tuple[int, int]]:
    """Where what may be a long number begins and ends; text in quotes holds none."""
    quoted, position = False, 0
    for candidate in _CANDIDATE.finditer(text):
        start, end = candidate.span()
        if text.find(b'"', position, start) >= 0:
            # Of valid JSON a backslash stands in a string only, and escapes what is behind it.
            between = text[position:start].replace(rb"\\", b"").replace(rb"\"", b"")
            quoted ^= between.count(b'"') % 2 == 1
        position = end
        if not quoted:
            yield start, end


def _is_long(text: bytes) -> bool:
    number = _NUMBER.fullmatch(text)
    if number is None:
        return False
    mantissa, power = number["mantissa"], number["power"]
    if power is None and b"." not in mantissa:
        return len(text) > _WIDEST_INTEGER or int(text) not in _INTEGERS
    if len(mantissa.replace(b".", b"").lstrip(b"0")) > _EXACT_DIGITS:
        return True
    return not 0.0 < abs(float(text)) < inf


def _with_parts(text: bytes, spans: list[tuple[int, int]], parts: list[bytes]) -> bytes:
    """`text` with `parts` in the place of what is at `spans`."""
    pieces, position = list[bytes](), 0
    for (start, end), part in zip(spans, parts, strict=True):
        pieces.append(text[position:start])
        pieces.append(part)
        position = end
    pieces.append(text[position:])
    return b"".join(pieces)


def _unmarked(document: Any) -> Any:
    """`document` with its long numbers in the place of what stood in for them."""
    mark = _MARK.decode()
    width = len(mark)
    holder = [document]
    containers: list[Any] = [holder]
    while containers:
        container = containers.pop()
        pairs = container.items() if type(container) is dict else enumerate(container)
        for place, value in pairs:
            if type(value) is str:
                if value.startswith(mark):
                    container[place] = LongNumber(value[width:])
            elif type(value) is dict or type(value) is list:
                containers.append(value)
    return holder[0]
