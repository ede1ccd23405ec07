"""Keeps numbers that JSON libraries round as they are written (docs/reference/events.md#numbers).

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

LONG_NUMBER_CHARACTERS: Final = 19
"""Digits and the decimal point: a shorter number keeps its value in 64 bits or a double."""
MAX_LONG_NUMBERS: Final = 10_000
"""Bound for one text: no request can carry as many, and each costs some microseconds."""
_SAMPLE_STRIDE_BYTES: Final = 9
_DIGIT_CLASSES: Final = bytes(ord("0") if byte in b"0123456789." else 0 for byte in range(256))
_TWO_SAMPLES: Final = b"00"
_RUN: Final = re.compile(rb"[0-9.]*+")
_MINUS: Final = ord("-")
_COLON: Final = ord(":")
_BEFORE_A_NUMBER: Final = b" \t\r\n,:[-+eE"
"""One of these is before a number's digits, or those of its exponent; else it is in a string."""
# It checks how a number begins and ends, which is all that a regular expression can find quickly.
_CANDIDATE_PATTERN: Final = re.compile(
    rb"[-0-9](?<![0-9.eE+\-][-0-9])(?=[0-9.]{18}|[0-9.]*+[eE][+-]?[0-9]{3})[0-9.]*+"
    rb"(?:[eE][+-]?[0-9]++)?(?![0-9.eE+\-])"
)
# RFC 8259 section 6.
_NUMBER_PATTERN: Final = re.compile(
    rb"-?(?P<mantissa>(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?)(?P<power>[eE][+-]?[0-9]++)?"
)
_INT64_AND_UINT64: Final = range(-(2**63), 2**64)
_MAX_INTEGER_CHARACTERS: Final = 20
"""Characters of a 64-bit integer, with its sign."""
_MAX_EXACT_DIGITS: Final = 17
"""Digits that a double is written with."""
_PLACEHOLDER_PREFIX: Final = token_hex(16).encode()
"""Begins the string that replaces a long number while the text is decoded. It is secret, so that no
sender can write it."""


class TooManyError(ValueError):
    """The text holds more long numbers than can be decoded in time; the message says so."""


class LongNumber:
    """A number of an event that neither 64 bits nor a double can hold."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text
        """The number as its sender wrote it, in JSON."""

    @property
    def is_integer(self) -> bool:
        """Whether the number has neither a fraction nor an exponent."""
        return self.text.lstrip("-").isdecimal()


def as_written(value: object) -> orjson.Fragment:
    """Writes a `LongNumber` as JSON again: the `default` of `orjson.dumps`."""
    if isinstance(value, LongNumber):
        return orjson.Fragment(value.text)
    raise TypeError


def decimal_number(unscaled: int, scale: int) -> int | float | LongNumber:
    """`unscaled` * 10 ** -`scale`, as `loads_exactly` makes it of its text with `scale` decimals,
    which is at least 0.
    """
    digits = str(abs(unscaled)).rjust(scale + 1, "0")
    text = f"{digits[:-scale]}.{digits[-scale:]}" if scale else digits
    return exact_number(f"-{text}" if unscaled < 0 else text)


def exact_number(text: str) -> int | float | LongNumber:
    """The number that `text` is in JSON, as `loads_exactly` reads it there."""
    data = text.encode()
    if _CANDIDATE_PATTERN.fullmatch(data) is not None and _is_long(data):
        return LongNumber(text)
    return int(text) if text.lstrip("-").isdecimal() else float(text)


def may_be_rounded(text: bytes) -> bool:
    """Whether `text` may hold a number that is too long for orjson; false for most other texts.

    A run of 19 characters contains two neighbours of every ninth character, so most texts cost a
    tenth of a full scan. A run of exactly 19 digits, as many systems' ids are, fits in 64 bits, and
    one behind a letter or a quotation mark is part of a string, as in a ULID.
    """
    samples = text[::_SAMPLE_STRIDE_BYTES].translate(_DIGIT_CLASSES)
    found = samples.find(_TWO_SAMPLES)
    while found >= 0:
        position = found * _SAMPLE_STRIDE_BYTES
        if not _is_in_one_run(text, position):
            found = samples.find(_TWO_SAMPLES, found + 1)
            continue
        start, end = _run_around(text, position)
        if _is_long_run(text, start, end):
            return True
        found = samples.find(_TWO_SAMPLES, end // _SAMPLE_STRIDE_BYTES + 1)
    return False


def _is_in_one_run(text: bytes, sample: int) -> bool:
    """Whether only digits and points are between a sample and the next one; in a time they are
    not.
    """
    for position in range(sample + 1, sample + _SAMPLE_STRIDE_BYTES):
        if not _DIGIT_CLASSES[text[position]]:
            return False
    return True


def _run_around(text: bytes, position: int) -> tuple[int, int]:
    """The start and end of the run of digits and points around the one at `position`. No run that
    may be long begins more than `_SAMPLE_STRIDE_BYTES` before it, because none was found before.
    """
    start = position
    while start > 0 and _DIGIT_CLASSES[text[start - 1]]:
        start -= 1
    run = _RUN.match(text, position)
    return start, run.end() if run is not None else position


def _is_long_run(text: bytes, start: int, end: int) -> bool:
    before = text[start - 1] if start > 0 else _COLON
    if end - start < LONG_NUMBER_CHARACTERS or before not in _BEFORE_A_NUMBER:
        return False
    is_longer = end - start > LONG_NUMBER_CHARACTERS
    return is_longer or before == _MINUS or b"." in text[start:end]


def loads_exactly(text: bytes) -> Any:
    """The JSON value in `text`, with a `LongNumber` for each number that orjson would round.

    It accepts exactly the texts that orjson would accept with short numbers in their place.

    Raises:
        orjson.JSONDecodeError: `text` is not JSON.
        TooManyError: `text` holds more than `MAX_LONG_NUMBERS`.
    """
    found = list(islice(_candidates(text), MAX_LONG_NUMBERS + 1))
    if len(found) > MAX_LONG_NUMBERS:
        raise TooManyError(
            f"more than {MAX_LONG_NUMBERS} numbers have {LONG_NUMBER_CHARACTERS} digits or more"
        )
    spans = [(start, end) for start, end in found if _is_long(text[start:end])]
    if not spans:
        return orjson.loads(text)
    # The replacements are as wide as the numbers, so that an error names the right column.
    orjson.loads(_with_parts(text, spans, [b"0".ljust(end - start) for start, end in spans]))
    marked = [b'"' + _PLACEHOLDER_PREFIX + text[start:end] + b'"' for start, end in spans]
    return _unmarked(orjson.loads(_with_parts(text, spans, marked)))


def _candidates(text: bytes) -> Iterator[tuple[int, int]]:
    """The start and end of each possible long number outside of JSON strings."""
    quoted, position = False, 0
    for candidate in _CANDIDATE_PATTERN.finditer(text):
        start, end = candidate.span()
        if text.find(b'"', position, start) >= 0:
            # In valid JSON a backslash is in a string only, and escapes the next character.
            between = text[position:start].replace(rb"\\", b"").replace(rb"\"", b"")
            quoted ^= between.count(b'"') % 2 == 1
        position = end
        if not quoted:
            yield start, end


def _is_long(text: bytes) -> bool:
    number = _NUMBER_PATTERN.fullmatch(text)
    if number is None:
        return False
    mantissa, power = number["mantissa"], number["power"]
    if power is None and b"." not in mantissa:
        return len(text) > _MAX_INTEGER_CHARACTERS or int(text) not in _INT64_AND_UINT64
    if len(mantissa.replace(b".", b"").lstrip(b"0")) > _MAX_EXACT_DIGITS:
        return True
    return not 0.0 < abs(float(text)) < inf


def _with_parts(text: bytes, spans: list[tuple[int, int]], parts: list[bytes]) -> bytes:
    """`text` with its `spans` replaced by `parts`."""
    pieces, position = list[bytes](), 0
    for (start, end), part in zip(spans, parts, strict=True):
        pieces.append(text[position:start])
        pieces.append(part)
        position = end
    pieces.append(text[position:])
    return b"".join(pieces)


def _unmarked(document: Any) -> Any:
    """`document` with its placeholders replaced by long numbers."""
    mark = _PLACEHOLDER_PREFIX.decode()
    width = len(mark)
    holder = [document]
    containers: list[Any] = [holder]
    while containers:
        container = containers.pop()
        pairs = container.items() if type(container) is dict else enumerate(container)
        for key, value in pairs:
            if type(value) is str:
                if value.startswith(mark):
                    container[key] = LongNumber(value[width:])
            elif type(value) is dict or type(value) is list:
                containers.append(value)
    return holder[0]
