"""Reads an event from a file, and says whether a hook fires for it."""

from typing import BinaryIO

import typer

from consumer.clock import Clock
from consumer.events.decode import Decoder
from consumer.events.model import Event
from consumer.hooks.table import Hook
from consumer.matching.store import make_index
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


def read_event(file: BinaryIO, hook: Hook, settings: Settings, clock: Clock) -> Event:
    """The event in `file`, decoded like a record of the first source with the hook's trigger.

    Raises:
        typer.BadParameter: the file holds no event.
    """
    sources = (source for source in settings.sources if source.trigger == hook.trigger)
    source = next(sources, None)
    fields = source.fields.model_dump(exclude_none=True) if source is not None else None
    topic = source.topic if source is not None else hook.trigger
    try:
        return Decoder(hook.trigger, fields)(_Record(topic, file.read(), clock))
    except UndecodableError as error:
        raise typer.BadParameter(f"{file.name}: {error}", param_hint="--event") from None


def mismatch_reason(hook: Hook, event: Event) -> str:
    """Why `hook` does not fire for `event`; empty if it does."""
    if hook in make_index({hook.id: hook}).match(event):
        return ""
    if not hook.enabled:
        return "the hook is not enabled"
    if hook.select is not None and event.subject not in hook.select:
        subject = "no subject" if event.subject is None else f"the subject {event.subject}"
        return f"the event has {subject}, and the hook selects {', '.join(sorted(hook.select))}"
    if hook.app is not None and hook.app != event.app:
        app = "no app" if event.app is None else f"the app {event.app}"
        return f"the event has {app}, and the hook is for {hook.app}"
    if event.notification is not None and event.notification.get("hooks_disabled") is True:
        return "the notification silences every hook (hooks_disabled)"
    return "the notification was not composed with this hook (notification.hooks)"
