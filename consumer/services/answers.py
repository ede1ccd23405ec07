"""The beginning of a receiver's answer, as text that can be shown to a person."""

import re
from collections.abc import Iterable
from html import escape
from json import dumps
from typing import Final
from urllib.parse import quote, quote_plus

from consumer.logs import printable

SHOWN_BYTES: Final = 1024
HIDDEN: Final = "[secret]"
_MIN_SECRET_CHARACTERS: Final = 4
"""A shorter one would hide half of any text, and protects nothing."""
_HTML_IN_JSON: Final = re.compile("[<>&='\u2028\u2029]")
"""What JSON for HTML has as `\\u003c`."""
_KEPT: Final = re.compile(r"[\n\t]")


class AnswerStart:
    """Takes an answer (`AnswerTaker`), and keeps the beginning of its body, and where it redirects.

    It keeps more than is shown: of a secret at the end of what is shown, the rest must be known.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        """`secrets`: texts that are hidden, in each spelling that a receiver may repeat."""
        known = {text for text in secrets if len(text) >= _MIN_SECRET_CHARACTERS}
        spelt = {spelling for text in known for spelling in _spellings(text)}
        longest_first = sorted((text.encode() for text in spelt), key=len, reverse=True)
        self._pattern = (
            re.compile(b"|".join(map(re.escape, longest_first)), re.IGNORECASE)
            if longest_first
            else None
        )
        self._limit = SHOWN_BYTES + max((len(text.encode()) for text in spelt), default=0)
        self._kept = bytearray()
        self._length = 0
        self._location = b""

    def take_line(self, line: bytes) -> None:
        """Take a line of the header block."""
        name, _, value = line.partition(b":")
        if name.startswith(b"HTTP/"):  # of the next block, after an interim one
            self._location = b""
        elif name.strip().lower() == b"location":
            self._location = value.strip()

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
        return self._shown(bytes(self._kept))

    @property
    def location(self) -> str:
        """The `Location` of the answer, likewise; empty: it has none."""
        return self._shown(self._location)

    def _shown(self, kept: bytes) -> str:
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
    """A secret as it was sent, as a URI, a form, JSON and HTML have it, and all of these of what a
    receiver reads that takes its UTF-8 for Latin-1.
    """
    found = set[str]()
    for text in (secret, secret.encode().decode("latin-1")):
        html = escape(text)
        found |= {text, html, html.replace("&quot;", "&#34;").replace("&#x27;", "&#39;")}
        found |= {quote(text, safe=safe) for safe in ("", "/", "!'()*")} | {quote_plus(text)}
        for in_json in (dumps(text, ensure_ascii=False)[1:-1], dumps(text)[1:-1]):
            found |= {in_json, in_json.replace("/", "\\/")}
            found.add(_HTML_IN_JSON.sub(lambda match: f"\\u{ord(match[0]):04x}", in_json))
    return found


def _printable(text: str) -> str:
    ends = _KEPT.findall(text)
    parts = [printable(part) for part in _KEPT.split(text)]
    return "".join(part + end for part, end in zip(parts, [*ends, ""], strict=True))
