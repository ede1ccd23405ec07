"""From JSON values to the text that goes into a request (contract section 3)."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import orjson

from consumer.events.model import Event
from consumer.events.path import walk
from consumer.hooks.table import Value
from consumer.hooks.template import MAX_URI_BYTES

Reader = Callable[[Event], str | None]
"""Takes one value's text out of an event; None where it is missing."""

MAX_CHARACTERS = MAX_URI_BYTES
"""No request has room for a longer value: a URI ends there, a header before."""


class RejectedError(Exception):
    """This event cannot become this hook's request; the text names the field, never the value."""


def request_text(place: str, value: Any) -> str | None:
    """`value` as text that may go into a request; None where it is missing.

    Raises RejectedError, which names `place`, where it cannot be meant for one. Arrays and objects
    are measured as JSON, which costs a fraction of their text, so that no value costs more than one
    that fits.
    """
    try:
        size = len(value) if type(value) is str else len(orjson.dumps(value))
    except orjson.JSONEncodeError:
        raise RejectedError(f"{place} is nested too deeply") from None
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
        return orjson.dumps(value).decode()
    return str(value)


_ENCODED = tuple(quote(bytes([byte]), safe="") for byte in range(256))
_UNRESERVED = re.compile(r"[A-Za-z0-9\-._~]*")


def encode(text: str) -> str:
    """Percent-encode all but RFC 3986's unreserved characters (RFC 6570 level 1).

    As `quote(text, safe="")`, at half its cost: most values need nothing, the others a table.
    """
    if (text.isalnum() and text.isascii()) or _UNRESERVED.fullmatch(text):
        return text
    return "".join([_ENCODED[byte] for byte in text.encode()])


def reader(value: Value) -> Reader:
    """Compile where `value` comes from into a function of the event."""
    if value.source == "fixed":
        fixed = value.text
        return lambda _event: fixed
    take = _taker(value)
    place = value.reference

    def read(event: Event) -> str | None:
        found = take(event.document)
        if type(found) is str and len(found) <= MAX_CHARACTERS:
            return found
        return request_text(place, found)

    return read


def _taker(value: Value) -> Callable[[dict[str, Any]], Any]:
    path, name = value.path, value.reference
    if value.source == "event":
        return lambda document: walk(document, path)
    owner = "user" if value.source == "profile" else "device"
    if path == ("id",):
        return lambda document: walk(document, (owner, "id"))

    def attribute(document: dict[str, Any]) -> Any:
        attributes = walk(document, (owner, "attributes"))
        if type(attributes) is not dict:
            return None
        # A name with dots is first of all a name.
        return attributes[name] if name in attributes else walk(attributes, path)

    return attribute
