"""Reads an event from a file."""

from typing import BinaryIO

import orjson
import typer

from consumer.clock import Clock
from consumer.events.decode import Decoder
from consumer.events.model import Event
from consumer.events.path import walk
from consumer.events.triggers import TRIGGERS, Trigger
from consumer.records.record import Headers, UndecodableError
from consumer.settings import Settings


class _Record:
    """A Kafka record with the event as its value."""

    partition = 0
    offset = 0
    key: bytes | None = None
    headers: Headers = ()

    def __init__(self, topic: str, value: bytes, clock: Clock) -> None:
        self.topic = topic
        self.value: bytes | None = value
        self.timestamp = int(clock.now() * 1000)


def read_event(file: BinaryIO, trigger: Trigger | None, settings: Settings, clock: Clock) -> Event:
    """The event in `file`, decoded like a record of the first source with that trigger; None: the
    one that its fields tell.

    Raises:
        typer.BadParameter: the file holds no event, or its fields tell no trigger.
    """
    value = file.read()
    if trigger is None:
        trigger = _guess_trigger(value)
    if trigger is None:
        raise typer.BadParameter(
            f"the fields of {file.name} do not tell what it is; name its --trigger",
            param_hint="--event",
        )
    sources = (source for source in settings.sources if source.trigger == trigger)
    source = next(sources, None)
    fields = source.fields.model_dump(exclude_none=True) if source is not None else None
    topic = source.topic if source is not None else trigger
    try:
        return Decoder(trigger, fields)(_Record(topic, value, clock))
    except UndecodableError as error:
        raise typer.BadParameter(f"{file.name}: {error}", param_hint="--event") from None


def _guess_trigger(value: bytes) -> Trigger | None:
    """The trigger of an event in the documented shape; None if nothing tells it."""
    try:
        document = orjson.loads(value)
    except orjson.JSONDecodeError:
        return "event"  # no event of any trigger, which decoding says
    if not isinstance(document, dict):
        return "event"
    for trigger in ("event", "geofence"):
        if walk(document, TRIGGERS[trigger].subject) is not None:
            return trigger
    if walk(document, TRIGGERS["push_click"].subject) is None:
        return None
    return "push_click" if walk(document, ("data", "status")) is None else "message_log"
