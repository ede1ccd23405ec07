"""Reads an event from a file."""

from typing import BinaryIO

import typer

from consumer.cli.process import run_on_loop
from consumer.clock import Clock
from consumer.events.model import Event
from consumer.events.triggers import Trigger
from consumer.records.record import UndecodableError
from consumer.services.event_input import (
    decode_event,
    decode_value,
    guess_trigger,
    is_json_object,
)
from consumer.settings import Settings


def read_event(
    file: BinaryIO, trigger: Trigger | None, settings: Settings, clock: Clock, topic: str = ""
) -> Event:
    """The event in `file`, decoded like a record of the first source with that trigger; None: the
    one that its fields tell. `topic`: see `decode_event`.

    Raises:
        typer.BadParameter: the file holds no event, or its fields tell no trigger.
        HookstreamError: its schema is needed, and the registry does not help.
    """
    value = file.read()
    if trigger is None:
        trigger = guess_trigger(value, settings)
    if trigger is None:
        raise typer.BadParameter(
            f"the fields of {file.name} do not tell what it is; name its --trigger",
            param_hint="--event",
        )
    try:
        if is_json_object(value):
            return decode_event(value, trigger, settings, clock, topic)
        return run_on_loop(lambda: decode_value(value, trigger, settings, clock, topic))
    except UndecodableError as error:
        raise typer.BadParameter(f"{file.name}: {error}", param_hint="--event") from None
