"""Makes an `Event` of a Kafka record.

It runs for every record, so there is no validation framework. Only what delivery relies on is
checked; a part of another type than docs/reference/events.md says counts as absent.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from math import inf
from typing import Any, Final

from consumer.events.formats.format import Format
from consumer.events.formats.json import parse_json
from consumer.events.model import Event
from consumer.events.numbers import LongNumber
from consumer.events.path import Path, parse_path, walk
from consumer.events.triggers import TRIGGERS, Trigger
from consumer.records.record import Record, UndecodableError

_MAX_TIME_CHARACTERS = 64
"""More than RFC 3339 needs."""
_YEAR_1_SECONDS: Final = -62_135_596_800.0
_YEAR_10000_SECONDS: Final = 253_402_300_800.0
_YEAR_10000_MS: Final = 253_402_300_800_000
"""RFC 3339 ends there, and a time of 1e308 would spoil the metrics' sums."""

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

    def __init__(
        self,
        trigger: Trigger,
        fields: Mapping[str, str] | None = None,
        format: Format | None = None,
    ) -> None:
        """`fields` maps the names that docs/reference/events.md lists to dotted paths. `format`:
        None is JSON.
        """
        paths = {name: parse_path(path) for name, path in (fields or {}).items()}
        self.trigger = trigger
        self.maps = bool(paths) or format is not None
        """Whether a record can only be read with the settings of its source."""
        self._format = format
        self._subject = paths.pop("subject", None)
        self._usual_subject = TRIGGERS[trigger].subject
        self._moves = tuple((FIELD_PATHS[name], path) for name, path in paths.items())

    def __call__(self, record: Record) -> Event:
        """Decode `record`. Raises only `UndecodableError`, whatever the bytes."""
        format = self._format  # noqa: A001
        value = record.value
        source = parse_json(value) if format is None else format(value, record.headers)
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


def user_of(event: Event) -> str | None:
    """The id of an event's user as text; None without one, or if it is empty."""
    user = event.document.get("user")
    return (as_name(user.get("id")) if isinstance(user, dict) else None) or None


def _seconds(occurred_at: Any, timestamp: int) -> float:
    """RFC 3339 text or epoch milliseconds, in seconds from the year 1 to 9999; `timestamp` if it is
    not readable.

    An unreadable time is no error, since it only measures delay.
    """
    if type(occurred_at) is int or type(occurred_at) is float:
        if 0 <= occurred_at < _YEAR_10000_MS:
            return occurred_at / 1000
    elif type(occurred_at) is str and len(occurred_at) <= _MAX_TIME_CHARACTERS:
        try:
            moment = datetime.fromisoformat(occurred_at.upper())  # RFC 3339 allows a small z
            seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            seconds = inf
        # An offset leads out of these years, and so does a double's rounding.
        if _YEAR_1_SECONDS <= seconds < _YEAR_10000_SECONDS:
            return seconds
    return max(-1, min(timestamp, _YEAR_10000_MS - 1)) / 1000  # brokers keep any 64 bits


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
