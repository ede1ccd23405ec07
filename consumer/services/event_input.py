"""An event that a person gives, decoded like a record of a source."""

from dataclasses import dataclass
from secrets import token_hex

import orjson

from consumer.clock import Clock
from consumer.events.decode import Decoder
from consumer.events.model import Event
from consumer.events.path import walk
from consumer.events.triggers import TRIGGERS, Trigger
from consumer.factories import make_decoder
from consumer.records.record import Headers
from consumer.settings import Settings


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
    """The event in `value`, decoded like a record of the first source with that trigger. `topic`:
    begins the id of an event without one; by default the source's name, as in a real record's.
    In place of a record in the source's format it may be JSON, as the panel shows the event.

    Raises:
        UndecodableError: it is none.
    """
    source = next((one for one in settings.sources if one.trigger == trigger), None)
    topic = topic or (source.topic if source is not None else trigger)
    if source is None:
        decoder = Decoder(trigger)
    elif _is_tree(value):
        decoder = Decoder(trigger, source.fields.model_dump(exclude_none=True))
    else:
        decoder = make_decoder(source)
    return decoder(_Record(topic, value, int(clock.now() * 1000)))


def _is_tree(value: bytes) -> bool:
    """Whether a person wrote what a record is decoded to, in JSON, as the panel shows it."""
    try:
        document = orjson.loads(value)
    except orjson.JSONDecodeError:
        return False
    return not isinstance(document, dict) or "specversion" not in document


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


def guess_trigger(value: bytes) -> Trigger | None:
    """The trigger of an event in the documented shape; None if nothing tells it."""
    try:
        document = orjson.loads(value)
    except orjson.JSONDecodeError:
        return "event"  # no event of any trigger, which decoding says
    if not isinstance(document, dict):
        return "event"
    if "specversion" in document and isinstance(document.get("data"), dict):
        document = document["data"]  # of a CloudEvent
    for trigger in ("event", "geofence"):
        if walk(document, TRIGGERS[trigger].subject) is not None:
            return trigger
    if walk(document, TRIGGERS["push_click"].subject) is None:
        return None
    return "push_click" if walk(document, ("data", "status")) is None else "message_log"
