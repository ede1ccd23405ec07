"""Runs of settled offsets behind an unsettled one, as text for the metadata of a commit."""

import zlib
from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Final

Run = tuple[int, int]
"""The first offset, and the one after the last."""

MAX_CHARACTERS: Final = 2_800
"""Of 4,096 bytes that Kafka stores with an offset (`offset.metadata.max.bytes`); the rest is for
the commit's note."""
MAX_RUNS: Final = 16_384
"""More runs take too long to write, once for each commit."""
_MAX_BYTES: Final = 4 * MAX_RUNS
_CONTINUED: Final = 0x80
_MAX_SHIFT: Final = 56


def format_runs(runs: Sequence[Run], committed: int) -> str:
    """The text of `runs`, which ascend from `committed` on: compressed gaps and lengths.

    Runs that do not fit are left out, the last ones first: their records would be sent again after
    a crash.
    """
    kept = runs[:MAX_RUNS]
    while kept:
        text = _encode(kept, committed)
        if len(text) <= MAX_CHARACTERS:
            return text
        kept = kept[: len(kept) * MAX_CHARACTERS * 9 // (len(text) * 10)]
    return ""


def parse_runs(text: str, committed: int) -> list[Run]:
    """The runs that `format_runs` wrote for that committed offset; none if the text is not its."""
    try:
        packed = zlib.decompressobj().decompress(b64decode(text, validate=True), _MAX_BYTES)
        numbers = _numbers(packed)
    except (ValueError, zlib.error):
        return []
    runs, at = list[Run](), committed
    for gap, length in zip(numbers[::2], numbers[1::2], strict=False):
        if not gap or not length:
            return []
        runs.append((at + gap, at + gap + length))
        at += gap + length
    return runs


def _encode(runs: Sequence[Run], committed: int) -> str:
    packed, at = bytearray(), committed
    for start, end in runs:
        for number in (start - at, end - start):
            rest = number
            while rest >= _CONTINUED:
                packed.append(rest & 0x7F | _CONTINUED)
                rest >>= 7
            packed.append(rest)
        at = end
    return b64encode(zlib.compress(packed)).decode()


def _numbers(packed: bytes) -> list[int]:
    """The integers of an LEB128 sequence."""
    numbers, number, shift = list[int](), 0, 0
    for byte in packed:
        if shift > _MAX_SHIFT:
            raise ValueError("no 64-bit number")
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < _CONTINUED:
            numbers.append(number)
            number = shift = 0
    return numbers
