"""The beginning of a receiver's answer, as text that can be shown to a person."""

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

from consumer.logs import printable

SHOWN_BYTES: Final = 1024
HIDDEN: Final = "[secret]"
_MIN_SECRET_CHARACTERS: Final = 4
"""A shorter one would hide half of any text, and protects nothing."""
_KEPT: Final = re.compile(r"[\n\t]")


class AnswerStart:
    """Takes the parts of a body, and keeps the beginning.

    It keeps more than is shown: of a secret at the end of what is shown, the rest must be known.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        """`secrets`: texts that are hidden, in each spelling that a receiver may repeat."""
        known = {text for text in secrets if len(text) >= _MIN_SECRET_CHARACTERS}
        spelt = {spelling for text in known for spelling in _spellings(text)}
        longest_first = sorted((text.encode() for text in spelt), key=len, reverse=True)
        self._pattern = (
            re.compile(b"|".join(map(re.escape, longest_first))) if longest_first else None
        )
        self._limit = SHOWN_BYTES + max((len(text.encode()) for text in spelt), default=0)
        self._kept = bytearray()
        self._length = 0

    def take(self, part: bytes) -> None:
        """Take the next part."""
        self._length += len(part)
        self._kept += part[: max(0, self._limit - len(self._kept))]

    @property
    def is_cut(self) -> bool:
        """Whether there was more than is shown."""
        return self._length > SHOWN_BYTES

    @property
    def text(self) -> str:
        """The first `SHOWN_BYTES` as text without secrets; what is not printable is escaped."""
        kept = bytes(self._kept)
        shown, end = list[bytes](), SHOWN_BYTES
        at = 0
        while at < min(end, len(kept)):
            match = self._pattern.search(kept, at) if self._pattern is not None else None
            if match is None or match.start() >= end:
                shown.append(kept[at:end])
                break
            shown += [kept[at : match.start()], HIDDEN.encode()]
            at = match.end()
        return _printable(b"".join(shown).decode(errors="replace"))


def _spellings(secret: str) -> set[str]:
    """A secret as it was sent, as a URI has it, and as JSON and HTML have it."""
    escaped = secret.replace("\\", "\\\\").replace('"', '\\"')
    html = secret.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    in_json = {escaped, escaped.replace("/", "\\/")}
    return {secret, quote(secret, safe=""), quote(secret), html, *in_json}


def _printable(text: str) -> str:
    ends = _KEPT.findall(text)
    parts = [printable(part) for part in _KEPT.split(text)]
    return "".join(part + end for part, end in zip(parts, [*ends, ""], strict=True))
