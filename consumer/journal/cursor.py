"""Where a search of the delivery log goes on, as a text for its caller; it is pure."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from consumer.errors import ConfigError, Diagnostic

_VERSION: Final = 1
_MAX_CHARACTERS: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Cursor:
    """The place in the log of a search that has not come to its end."""

    topic_id: str
    """Of Kafka; a topic that is made anew has another one."""
    digest: str
    """Of the filter (`LogFilter.digest`)."""
    offsets: Mapping[int, int]
    """By partition, the offset before which the search goes on."""

    def __str__(self) -> str:
        offsets = [[number, offset] for number, offset in sorted(self.offsets.items())]
        text = orjson.dumps([_VERSION, self.topic_id, self.digest, offsets])
        return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def parse_cursor(text: str, topic_id: str, digest: str) -> Cursor:
    """The cursor that an earlier search of the same topic by the same filter gave.

    Raises:
        ConfigError: it is none, or another search's.
    """
    cursor = _read(text)
    if cursor is None:
        raise _refused("is no cursor", "take it from the answer before, or search without one")
    if cursor.digest != digest:
        raise _refused(
            "is of a search with other filters",
            "send the filters of the first search again, or search without a cursor",
        )
    if cursor.topic_id != topic_id:
        raise _refused("is of a log that was made anew since", "search without a cursor")
    return cursor


def _read(text: str) -> Cursor | None:
    if len(text) > _MAX_CHARACTERS:
        return None
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        found: Any = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (UnicodeEncodeError, binascii.Error, orjson.JSONDecodeError):
        return None
    match found:
        case [version, str(topic_id), str(digest), list(pairs)] if version == _VERSION:
            offsets = dict(filter(None, map(_pair, pairs)))
            return Cursor(topic_id, digest, offsets) if len(offsets) == len(pairs) else None
        case _:
            return None


def _pair(pair: Any) -> tuple[int, int] | None:
    match pair:
        case [int(number), int(offset)] if number >= 0 and offset >= 0:
            return number, offset
        case _:
            return None


def _refused(message: str, hint: str) -> ConfigError:
    return ConfigError([Diagnostic(message, hint, field="cursor")])
