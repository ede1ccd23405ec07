"""Decodes the bytes of a Kafka record into an `Event`.

It runs for every record, so there is no validation framework. Only what delivery relies on is
checked; a part of another type than docs/reference/events.md says counts as absent.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from consumer.events.model import Event
from consumer.events.numbers import LongNumber, TooManyError, loads_exactly, may_be_rounded
from consumer.events.path import Path, parse_path, walk
from consumer.events.triggers import TRIGGERS, Trigger
from consumer.records.record import Record, UndecodableError

MAX_EVENT_BYTES = 1024 * 1024
"""Kafka's default limit. A larger record counts as undecodable: one of a million attributes would
block the event loop, and with it all deliveries, for a third of a second."""
_MAX_TIME_CHARACTERS = 64
"""More than RFC 3339 needs."""
_YEAR_10000_MS = 253_402_300_800_000
"""Milliseconds. RFC 3339 ends there, and a time of 1e308 would spoil the metrics' sums."""

FIELD_PATHS: Mapping[str, Path] = {
    "id": ("id",),
    "occurred_at": ("occurred_at",),
    "app": ("app",),
    "notification": ("notification",),
    "data": ("data",),
    "user_id": ("user", "id"),
    "user_attributes": ("user", "attributes"),
    "device_id": ("device", "id"),
    "device_attributes": ("device", "attributes"),
}
"""The path in an event of each name that `sources[].fields` may map."""


class Decoder:
    """Decodes the records of one topic, which have one trigger and one shape."""

    def __init__(self, trigger: Trigger, fields: Mapping[str, str] | None = None) -> None:
        """`fields` maps the names that docs/reference/events.md lists to dotted paths."""
        paths = {name: parse_path(path) for name, path in (fields or {}).items()}
        self.trigger = trigger
        self.maps = bool(paths)
        """Whether the topic's shape is mapped by `sources[].fields`."""
        self._subject = paths.pop("subject", None)
        self._usual_subject = TRIGGERS[trigger].subject
        self._moves = tuple((FIELD_PATHS[name], path) for name, path in paths.items())

    def __call__(self, record: Record) -> Event:
        """Decode `record`. Raises only `UndecodableError`, whatever the bytes."""
        source = _parse(record.value)
        document = _moved(source, self._moves) if self._moves else source
        if document.get("occurred_at") is None:
            document["occurred_at"] = record.timestamp
        notification = document.get("notification")
        subject = (
            walk(source, self._subject) if self._subject else walk(document, self._usual_subject)
        )
        return Event(
            id=_identify(document, record),
            trigger=self.trigger,
            occurred_at=_seconds(document["occurred_at"], record.timestamp),
            app=as_name(document.get("app")),
            subject=as_name(subject),
            notification=notification if type(notification) is dict else None,
            document=document,
        )


def _parse(value: bytes | None) -> dict[str, Any]:
    if type(value) is not bytes:  # a record that the stream could not parse says why
        raise UndecodableError(getattr(value, "why", "the record has no value"))
    if len(value) > MAX_EVENT_BYTES:
        raise UndecodableError(f"the record is longer than {MAX_EVENT_BYTES} bytes")
    try:
        document = orjson.loads(value) if not may_be_rounded(value) else _loads_exactly(value)
    except orjson.JSONDecodeError:
        document = _loads_exactly(value)  # a short number may be too large: 1e400
    if type(document) is not dict:
        raise UndecodableError("the JSON value is not an object")
    return document


def _loads_exactly(value: bytes) -> Any:
    try:
        return loads_exactly(value)
    except orjson.JSONDecodeError as error:
        # Its text names what was expected and the position, and quotes no input.
        raise UndecodableError(f"not JSON: {error}") from None
    except TooManyError as error:
        raise UndecodableError(str(error)) from None


def _identify(document: dict[str, Any], record: Record) -> str:
    """The event's id; `topic-partition-offset` if it has none."""
    own = document.get("id")
    if type(own) is str and own:
        return own
    if own is None or own == "":
        own = document["id"] = f"{record.topic}-{record.partition}-{record.offset}"
    name = as_name(own)
    if name is None:
        raise UndecodableError("the event's id is neither a string nor an integer")
    return name


def as_name(value: Any) -> str | None:
    """A name as text: senders write strings or integers. None for anything else."""
    if type(value) is str:
        return value
    if type(value) is int:
        return str(value)
    return value.text if type(value) is LongNumber and value.is_integer else None


def _seconds(occurred_at: Any, timestamp: int) -> float:
    """RFC 3339 text or epoch milliseconds, in seconds; `timestamp` if it is not readable.

    An unreadable time is no error, since it only measures delay.
    """
    if type(occurred_at) is int or type(occurred_at) is float:
        return (occurred_at if 0 <= occurred_at < _YEAR_10000_MS else timestamp) / 1000
    if type(occurred_at) is not str or len(occurred_at) > _MAX_TIME_CHARACTERS:
        return timestamp / 1000
    try:
        moment = datetime.fromisoformat(occurred_at.upper())  # RFC 3339 allows a small z
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return timestamp / 1000


def _moved(source: dict[str, Any], moves: tuple[tuple[Path, Path], ...]) -> dict[str, Any]:
    """A copy of `source` with the mapped parts at their paths in an event; the rest stays."""
    document = dict(source)
    parts: dict[str, dict[str, Any]] = {}
    for target, path in moves:
        value = walk(source, path)
        if len(target) == 1:
            document[target[0]] = value
        else:
            parts.setdefault(target[0], {})[target[1]] = value
    for name, part in parts.items():
        whole = source.get(name)
        document[name] = {**whole, **part} if type(whole) is dict else part
    return document
