"""Builds the request of a delivery for the daemon, `sample` and `send`; pure functions."""

import base64
import hashlib
import hmac
import re
from collections.abc import Callable
from typing import Final, assert_never

from consumer import __version__
from consumer.delivery.http.transport import Request
from consumer.delivery.http.values import (
    MAX_CHARACTERS,
    RejectedError,
    encode,
    make_value_reader,
    request_text,
    value_text,
)
from consumer.events.model import Event
from consumer.hooks.table import MAX_HEADER_VALUE_BYTES, Header, Hook, Parameter, UriVariable
from consumer.matching.index import composed_values

MAX_URL_BYTES: Final = MAX_CHARACTERS
_MAX_ID_CHARACTERS: Final = 200
_USER_AGENT: Final = f"user-agent: hookstream/{__version__}".encode()
_WHITESPACE: Final = " \t"
# RFC 9110 section 5.5: a field value holds no control characters but the tab.
_CONTROL_CHARACTERS: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def delivery_id(event_id: str, hook_id: str) -> str:
    """The `webhook-id`, made of event id and hook id: the same on every attempt and replay, so that
    a receiver can be idempotent.

    It is percent-encoded, so it is a safe header value, and has no dot, since Standard Webhooks
    signs `id.timestamp.payload`. Hook ids have no colon, so each pair has its own id. An event id
    that is too long for a header is replaced by its SHA-256.
    """
    return delivery_ids(event_id)(hook_id)


def delivery_ids(event_id: str) -> Callable[[str], str]:
    """A function from hook ids to one event's delivery ids; a long event id is hashed once."""
    name = event_id
    if len(name) <= _MAX_ID_CHARACTERS:
        name = encode(name).replace(".", "%2E")
    if len(name) > _MAX_ID_CHARACTERS:
        # The colon tells it apart from an event id that looks like this.
        name = "sha256:" + hashlib.sha256(event_id.encode()).hexdigest()
    return lambda hook_id: f"{name}:{hook_id}"


class RequestBuilder:
    """Builds the requests of one hook, from parts compiled once."""

    def __init__(self, hook: Hook, *, timeout: float, connect_timeout: float) -> None:
        """`timeout` and `connect_timeout` are in seconds, and apply to a hook that sets none."""
        self.hook = hook
        self._origin = hook.origin
        self._timeout = hook.timeout or timeout
        self._connect_timeout = min(connect_timeout, self._timeout)
        self._template_parts = [
            piece if isinstance(piece, str) else _UriExpansion(hook.id, piece)
            for piece in hook.template_parts
        ]
        self._parameters = [_QueryParameter(parameter) for parameter in hook.parameters]
        self._headers = [_HeaderLine(header) for header in hook.headers]

    def build(self, event: Event, id: str, now: float) -> Request:
        """The request of delivery `id` at `now` (epoch seconds).

        Raises `RejectedError` if a required value is missing, or a value does not fit.
        """
        target = self.target(event)
        timestamp = str(int(now))
        headers = [
            _USER_AGENT,
            f"webhook-id: {id}".encode(),
            f"webhook-timestamp: {timestamp}".encode(),
        ]
        if self.hook.signing_keys:
            signed = signature(self.hook.signing_keys[0], id, timestamp, target)
            headers.append(b"webhook-signature: " + signed.encode())
        for line in self._headers:
            rendered = line.render(event)
            if rendered is not None:
                headers.append(rendered)
        return Request(self._origin, target, headers, self._timeout, self._connect_timeout)

    def target(self, event: Event) -> str:
        """Path and query, percent-encoded (RFC 9112 section 3.2.1)."""
        remaining = MAX_URL_BYTES - len(self._origin)
        path, query = [], []
        for piece in self._template_parts:
            part = piece if isinstance(piece, str) else piece.render(event)
            remaining = _subtract(remaining, part)
            path.append(part)
        for parameter in self._parameters:
            pair = parameter.render(event)
            if pair is not None:
                remaining = _subtract(remaining, pair)
                query.append(pair)
        target = "".join(path)
        if len(path) > 1 and ("/." in target or "/%2" in target):
            _refuse_dot_segments(target)
        if not query:
            return target
        whole = target + _separator(target, has_query=self.hook.has_query) + "&".join(query)
        _subtract(MAX_URL_BYTES - len(self._origin), whole)
        return whole


def _subtract(remaining: int, text: str) -> int:
    """`remaining` less the length of `text`. Raises `RejectedError` if that is negative."""
    remaining -= len(text)
    if remaining < 0:
        raise RejectedError(f"the URI is longer than {MAX_URL_BYTES} bytes")
    return remaining


def _separator(target: str, *, has_query: bool) -> str:
    if not has_query:
        return "?"
    return "" if target.endswith(("?", "&")) else "&"


def signature(key: bytes, id: str, timestamp: str, target: str) -> str:
    """A Standard Webhooks signature; the payload is the target as a JSON string.

    The target is ASCII without quotes and backslashes, so it is JSON once it is in quotes.
    """
    signed = f'{id}.{timestamp}."{target}"'.encode()
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


class _UriExpansion:
    """The value of one variable of the URI template."""

    __slots__ = ("_entry", "_hook_id", "_uri_variable")

    def __init__(self, hook_id: str, variable: UriVariable) -> None:
        self._hook_id = hook_id
        self._uri_variable = variable
        self._entry = make_value_reader(variable.entry) if variable.entry is not None else None

    def render(self, event: Event) -> str:
        variable = self._uri_variable
        name = f"URI parameter {variable.name}"
        values = composed_values(event).get(self._hook_id)
        text = request_text(name, values.get(variable.name)) if type(values) is dict else None
        if text is None and self._entry is not None:
            text = value_text(self._entry, event)
        if text is None:
            text = variable.default
        if text is None:
            if variable.missing == "reject":
                raise _missing(name)
            text = ""
        return encode(text)


class _QueryParameter:
    """A `name=value` pair of the query."""

    __slots__ = ("_missing", "_prefix", "_source", "_whole")

    def __init__(self, parameter: Parameter) -> None:
        value = parameter.value
        self._prefix = f"{parameter.name}="
        self._missing = value.missing
        self._source = make_value_reader(value) if value.source != "fixed" else None
        self._whole = self._prefix if self._source else self._prefix + encode(value.text)

    def render(self, event: Event) -> str | None:
        if self._source is None:
            return self._whole
        text = value_text(self._source, event)
        if text is not None:
            return self._prefix + encode(text)
        match self._missing:
            case "omit":
                return None
            case "empty":
                return self._prefix
            case "reject":
                raise _missing(f"parameter {self._prefix[:-1]}")
            case _:
                assert_never(self._missing)


class _HeaderLine:
    """A `name: value` header line."""

    __slots__ = ("_is_encoded", "_missing", "_name", "_source", "_whole")

    def __init__(self, header: Header) -> None:
        value = header.value
        self._name = header.name
        self._missing = value.missing
        self._is_encoded = header.encode == "percent"
        self._source = make_value_reader(value) if value.source != "fixed" else None
        self._whole = f"{header.name}: {value.text.strip(_WHITESPACE)}".encode()

    def render(self, event: Event) -> bytes | None:
        if self._source is None:
            return self._whole
        text = value_text(self._source, event)
        if text is None:
            match self._missing:
                case "omit":
                    return None
                case "empty":
                    return self._whole
                case "reject":
                    raise _missing(f"header {self._name}")
                case _:
                    assert_never(self._missing)
        return self._whole + header_value(self._name, text, is_encoded=self._is_encoded)


def header_value(name: str, text: str, *, is_encoded: bool) -> bytes:
    """The bytes of a header's value. Raises `RejectedError` if it does not fit."""
    if is_encoded:
        text = encode(text)
    elif _CONTROL_CHARACTERS.search(text):
        raise RejectedError(f"header {name} would hold a control character")
    value = text.strip(_WHITESPACE).encode()
    if len(value) > MAX_HEADER_VALUE_BYTES:
        raise RejectedError(f"header {name} is longer than {MAX_HEADER_VALUE_BYTES} bytes")
    return value


def _missing(what: str) -> RejectedError:
    return RejectedError(f"{what} has no value")


def _refuse_dot_segments(target: str) -> None:
    """Raise `RejectedError` for a path with `.` or `..`, by which a value would climb (RFC 3986
    section 5.2.4). Dots in values are literal; dots in the template may be encoded.
    """
    path = target.partition("?")[0].lower().replace("%2e", ".")
    if any(segment in {".", ".."} for segment in path.split("/")):
        raise RejectedError("a value would be a dot segment of the path")
