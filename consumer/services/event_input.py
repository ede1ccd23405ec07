"""An event that a person gives, decoded like a record of a source."""

from contextlib import aclosing
from dataclasses import dataclass
from random import random
from secrets import token_hex
from typing import Any, Final

from consumer.clock import Clock
from consumer.events.decode import Decoder
from consumer.events.formats.cloudevents import cloud_event
from consumer.events.formats.json import parse_json
from consumer.events.model import Event
from consumer.events.path import walk
from consumer.events.triggers import TRIGGERS, Trigger
from consumer.factories import make_decoder
from consumer.records.record import Headers, UndecodableError
from consumer.registry.schemas import RegistrySchemas
from consumer.settings import Settings, SourceSettings

_TEXT_FORMATS: Final = ("json", "cloudevents")


@dataclass(slots=True)
class _Record:
    """A Kafka record with the event as its value."""

    topic: str
    value: bytes | None
    timestamp: int
    partition: int = 0
    offset: int = 0
    key: bytes | None = None
    headers: Headers = ()


def decode_event(
    value: bytes, trigger: Trigger, settings: Settings, clock: Clock, topic: str = ""
) -> Event:
    """The event that a person wrote as JSON, decoded like a record of the first source with that
    trigger: what a record of it is decoded to, as the panel shows it, or a CloudEvent. `topic`:
    begins the id of an event without one; by default the source's name, as in a real record's.

    Raises:
        UndecodableError: it is none.
    """
    source = _source(trigger, settings)
    fields = source.fields.model_dump(exclude_none=True) if source is not None else None
    is_cloud_event = source is not None and source.format in {"cloudevents", "auto"}
    has_envelope = is_cloud_event and "specversion" in (_document(value) or ())
    decoder = Decoder(trigger, fields, cloud_event if has_envelope else None)
    return decoder(_record(value, source, trigger, clock, topic))


async def decode_value(
    value: bytes, trigger: Trigger, settings: Settings, clock: Clock, topic: str = ""
) -> Event:
    """The event of the value of a record of the first source with that trigger, in the source's
    format, or as `decode_event` takes it.

    Raises:
        UndecodableError: it is none.
        HookstreamError: its schema is needed, and the registry does not help.
    """
    source = _source(trigger, settings)
    if source is None or is_json_object(value):
        return decode_event(value, trigger, settings, clock, topic)
    async with aclosing(RegistrySchemas(settings.schema_registry, clock, random)) as registry:
        decoder = make_decoder(source, registry.schemas)
        return await registry.decode(decoder, _record(value, source, trigger, clock, topic))


def _source(trigger: Trigger, settings: Settings) -> SourceSettings | None:
    return next((one for one in settings.sources if one.trigger == trigger), None)


def _record(
    value: bytes, source: SourceSettings | None, trigger: Trigger, clock: Clock, topic: str
) -> _Record:
    topic = topic or (source.topic if source is not None else trigger)
    return _Record(topic, value, int(clock.now() * 1000))


def is_json_object(value: bytes) -> bool:
    """Whether a value needs no schema: `decode_event` takes it."""
    return _document(value) is not None


def _document(value: bytes) -> dict[str, Any] | None:
    """The JSON object in `value`, as a record's is read; None if that is something else."""
    try:
        return parse_json(value)
    except UndecodableError:
        return None


def test_topic() -> str:
    """A `topic` of `decode_event` for an event that is sent as a test. A receiver that knows the id
    of a real event would drop one of the two.
    """
    return f"test-{token_hex(8)}"


def as_test(event: Event) -> Event:
    """An event that was received, with an id of its own: see `test_topic`. Its document, and so
    each value of its request, is the same.
    """
    return Event(
        id=test_topic(),
        trigger=event.trigger,
        occurred_at=event.occurred_at,
        app=event.app,
        subject=event.subject,
        notification=event.notification,
        document=event.document,
    )


def guess_trigger(value: bytes, settings: Settings) -> Trigger | None:
    """The trigger of an event in the documented shape, or of a value that only the sources of one
    trigger can have; None if nothing tells it.
    """
    document = _document(value)
    if document is None:
        binary = {one.trigger for one in settings.sources if one.format not in _TEXT_FORMATS}
        if len(binary) > 1:
            return None
        return binary.pop() if binary else "event"  # which is none, as decoding says
    if "specversion" in document and isinstance(document.get("data"), dict):
        document = document["data"]  # of a CloudEvent
    for trigger in ("event", "geofence"):
        if walk(document, TRIGGERS[trigger].subject) is not None:
            return trigger
    if walk(document, TRIGGERS["push_click"].subject) is None:
        return None
    return "push_click" if walk(document, ("data", "status")) is None else "message_log"
