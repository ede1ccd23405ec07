"""The triggers: a new one is a name in `Trigger` and its case in `_describe`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, assert_never, get_args

from consumer.events.path import Path

Trigger = Literal["push_click", "message_log", "geofence", "event"]
"""What kind of event a source topic carries (docs/reference/events.md)."""


@dataclass(frozen=True, slots=True)
class TriggerFacts:
    """Properties of one trigger."""

    default_topic: str
    """The source topic if the settings name none."""
    subject: Path
    """The path in an event of the text that a hook's `select` names."""


def _describe(trigger: Trigger) -> TriggerFacts:
    match trigger:
        case "push_click":
            return TriggerFacts("push-click", ("notification", "id"))
        case "message_log":
            return TriggerFacts("message-log", ("notification", "id"))
        case "geofence":
            return TriggerFacts("geofence", ("data", "geofence_id"))
        case "event":
            return TriggerFacts("event", ("data", "event_key"))
        case _:
            assert_never(trigger)


TRIGGERS: Final[Mapping[Trigger, TriggerFacts]] = {
    trigger: _describe(trigger) for trigger in get_args(Trigger)
}
