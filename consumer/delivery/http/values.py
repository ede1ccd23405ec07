"""From JSON values to the text that goes into a request (docs/reference/hooks.md)."""

import re
from typing import Any, Final, assert_never
from urllib.parse import quote

import orjson

from consumer.events.model import Event
from consumer.events.numbers import LongNumber, as_written
from consumer.events.path import Path, walk
from consumer.hooks.table import Value
from consumer.hooks.template import MAX_URI_BYTES

MAX_CHARACTERS: Final = MAX_URI_BYTES
"""No request has room for a longer value: a URI ends there, a header before."""


class RejectedError(Exception):
    """This event cannot become this hook's request; the text names the field, never the value."""


def request_text(place: str, value: Any) -> str | None:
    """`value` as text that may go into a request; None where it is missing.

    Raises RejectedError, which names `place`, where it cannot be meant for one. Arrays and objects
    are measured as JSON, which costs a fraction of their text, so that no value costs more than one
    that fits.
    """
    size = 0
    if type(value) is str:
        size = len(value)
    elif type(value) is list or type(value) is dict:
        try:
            size = len(orjson.dumps(value, default=as_written))
        except orjson.JSONEncodeError:
            raise RejectedError(f"{place} is nested too deeply") from None
    elif type(value) is LongNumber:
        size = len(value.text)
    if size > MAX_CHARACTERS:
        raise RejectedError(f"{place} is longer than {MAX_CHARACTERS} characters")
    return to_text(value)


def to_text(value: Any) -> str | None:
    """`value` as text: arrays join with a comma, objects are compact JSON, null is missing."""
    if type(value) is str:
        return value
    if value is None:
        return None
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is list:
        # Thousands of empty arrays are what costs most within the bound; so they are cut short.
        texts = [text for text in map(to_text, value) if text is not None] if value else ()
        return ",".join(texts)
    if type(value) is dict:
        return orjson.dumps(value, default=as_written).decode()
    return value.text if type(value) is LongNumber else str(value)


_ENCODED: Final = tuple(quote(bytes([byte]), safe="") for byte in range(256))
_UNRESERVED: Final = re.compile(r"[A-Za-z0-9\-._~]*")


def encode(text: str) -> str:
    """Percent-encode all but RFC 3986's unreserved characters (RFC 6570 level 1).

    As `quote(text, safe="")`, at half its cost: most values need nothing, the others a table.
    """
    if (text.isalnum() and text.isascii()) or _UNRESERVED.fullmatch(text):
        return text
    return "".join([_ENCODED[byte] for byte in text.encode()])


class Field:
    """Takes one value's text out of events; made by `field`.

    Classes, since a hook has many of them and each delivery asks all: they take a fifth of the
    memory that closures do, and compiled they are the faster ones.
    """

    __slots__ = ("_place",)

    def __init__(self, place: str) -> None:
        """`place`: how people know the value."""
        self._place = place

    def text(self, event: Event) -> str | None:
        """The value; None where it is missing. Raises RejectedError where it can't be meant."""
        found = self.take(event.document)
        if type(found) is str and len(found) <= MAX_CHARACTERS:
            return found
        return request_text(self._place, found)

    def take(self, document: dict[str, Any]) -> Any:
        """The value as it stands in the event's document; None where it is missing."""
        raise NotImplementedError


class EventField(Field):
    """At a path of the event."""

    __slots__ = ("_path",)

    def __init__(self, place: str, path: Path) -> None:
        super().__init__(place)
        self._path = path

    def take(self, document: dict[str, Any]) -> Any:
        """See `Field.take`."""
        return walk(document, self._path)


class Attribute(Field):
    """Of the user or the device; a name with dots is first of all a name, then a path."""

    __slots__ = ("_owner", "_path")

    def __init__(self, place: str, owner: str, path: Path) -> None:
        super().__init__(place)
        self._owner = owner
        self._path = path

    def take(self, document: dict[str, Any]) -> Any:
        """See `Field.take`."""
        owner = document.get(self._owner)
        attributes = owner.get("attributes") if type(owner) is dict else None
        if type(attributes) is not dict:
            return None
        found = attributes.get(self._place)
        if found is not None or self._place in attributes:
            return found
        return walk(attributes, self._path)


class Fixed(Field):
    """Always the same."""

    __slots__ = ("_text",)

    def __init__(self, place: str, text: str) -> None:
        super().__init__(place)
        self._text = text

    def text(self, event: Event) -> str:  # noqa: ARG002  # as the others
        """See `Field.text`."""
        return self._text


def field(value: Value) -> Field:
    """Where `value` comes from."""
    match value.source:
        case "fixed":
            return Fixed(value.reference, value.text)
        case "event":
            return EventField(value.reference, value.path)
        case "profile":
            owner = "user"
        case "device":
            owner = "device"
        case _:
            assert_never(value.source)
    if value.path == ("id",):
        return EventField(value.reference, (owner, "id"))
    return Attribute(value.reference, owner, value.path)
