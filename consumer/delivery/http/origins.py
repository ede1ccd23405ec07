"""Where each value of a request comes from, for people; it is pure.

It says by itself what `RequestBuilder` does: together the values make up its request.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Literal, assert_never

from consumer.delivery.http.request import RequestBuilder, delivery_id, header_value
from consumer.delivery.http.values import RejectedError, make_value_reader, request_text
from consumer.events.model import Event
from consumer.hooks.table import Hook, Missing, Value
from consumer.matching.index import composed_values


class Origin(StrEnum):
    """Where a value comes from."""

    COMPOSED = "composed"
    """The notification: an operator entered it when composing it."""
    PROFILE = "profile"
    DEVICE = "device"
    EVENT = "event"
    DEFAULT = "default"
    """The definition, for a brace name that has no other value."""
    FIXED = "fixed"
    """The definition. It is never shown: it may be a key."""
    SECRET = "secret"  # noqa: S105  # a word, no secret
    """A secret. It is never shown."""
    NOWHERE = "nowhere"
    """No value was found."""


Part = Literal["uri", "header", "parameter"]
"""Where a value goes: into a brace of the URI, a header, or the query."""


@dataclass(frozen=True, slots=True)
class RequestValue:
    """One value of a request."""

    part: Part
    name: str
    origin: Origin
    reference: str = ""
    """The attribute or path that it is read from, as the definition spells it."""
    text: str | None = None
    """Before it is encoded. None: it is missing, rejected, or of an origin that is never shown."""
    looked_at: tuple[str, ...] = ()
    """The places without a value that come before the origin, in words."""
    follows: Missing | None = None
    """What follows, if it is missing; None: it is not."""
    rejection: str = ""
    """Why the value cannot be sent, whatever `follows` says; empty: it can. Never with the value.
    """

    @property
    def is_hidden(self) -> bool:
        """Whether it has a text that is not shown."""
        return self.origin in {Origin.FIXED, Origin.SECRET}

    @property
    def rejects(self) -> bool:
        """Whether the delivery is rejected because of it."""
        return bool(self.rejection) or self.follows == "reject"


def rejection(hook: Hook, event: Event) -> str:
    """Why the daemon would reject the delivery; empty: it would not. Never with a value."""
    builder = RequestBuilder(hook, timeout=1.0, connect_timeout=1.0)
    try:
        builder.build(event, delivery_id(event.id, hook.id), 0.0)
    except RejectedError as error:
        return str(error)
    return ""


def request_values(hook: Hook, event: Event) -> list[RequestValue]:
    """The values of the hook's request for an event: braces of the URI, then the query, then the
    headers, each in its order.
    """
    return [*_uri_values(hook, event), *_parameters(hook, event), *_headers(hook, event)]


def _uri_values(hook: Hook, event: Event) -> Iterator[RequestValue]:
    composed = composed_values(event).get(hook.id)
    for variable in hook.uri_variables:
        value = composed.get(variable.name) if type(composed) is dict else None
        if value is not None:
            place = f"notification.hooks.{hook.id}.{variable.name}"
            yield _text(RequestValue("uri", variable.name, Origin.COMPOSED, place), value)
            continue
        looked_at: tuple[str, ...] = ("the values composed for this hook",)
        if variable.entry is not None:
            found = _entry("uri", variable.name, variable.entry, event, looked_at)
            if found.origin is not Origin.NOWHERE:
                yield found
                continue
            looked_at = found.looked_at
        if variable.default is not None:
            yield RequestValue(
                "uri", variable.name, Origin.DEFAULT, text=variable.default, looked_at=looked_at
            )
            continue
        follows: Missing = "reject" if variable.missing == "reject" else "empty"
        yield RequestValue(
            "uri", variable.name, Origin.NOWHERE, looked_at=looked_at, follows=follows
        )


def _parameters(hook: Hook, event: Event) -> Iterator[RequestValue]:
    for parameter in hook.parameters:
        yield _entry("parameter", parameter.name, parameter.value, event)


def _headers(hook: Hook, event: Event) -> Iterator[RequestValue]:
    for header in hook.headers:
        found = _entry("header", header.name, header.value, event)
        if found.text is not None:
            try:
                header_value(header.name, found.text, is_encoded=header.encode is not None)
            except RejectedError as error:
                found = replace(found, rejection=str(error))
        yield found


def _entry(
    part: Part, name: str, value: Value, event: Event, looked_at: tuple[str, ...] = ()
) -> RequestValue:
    """The value of a header's or parameter's definition."""
    origin = _origin(value)
    if origin in {Origin.FIXED, Origin.SECRET}:
        return RequestValue(part, name, origin, looked_at=looked_at)
    found = make_value_reader(value).take(event.document)
    if found is None:
        looked_at = (*looked_at, f"{origin} {value.reference}")
        return RequestValue(
            part, name, Origin.NOWHERE, value.reference, None, looked_at, value.missing
        )
    return _text(RequestValue(part, name, origin, value.reference, None, looked_at), found)


def _text(found: RequestValue, value: Any) -> RequestValue:
    """`found` with the text of its value."""
    try:
        return replace(found, text=request_text(found.name, value))
    except RejectedError as error:
        return replace(found, rejection=str(error))


def _origin(value: Value) -> Origin:
    match value.source:
        case "profile":
            return Origin.PROFILE
        case "device":
            return Origin.DEVICE
        case "event":
            return Origin.EVENT
        case "fixed":
            return Origin.SECRET if value.secret else Origin.FIXED
        case _:
            assert_never(value.source)
