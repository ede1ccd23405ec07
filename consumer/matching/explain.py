"""Why a hook does not fire for an event: the first thing that stops it. It is pure."""

from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from consumer.events.model import Event
from consumer.hooks.table import Hook
from consumer.matching.index import composed_values, is_silenced


class Stop(StrEnum):
    """What stops a hook, in the order in which it is looked at."""

    TRIGGER = "trigger"
    """The event is of another trigger."""
    DISABLED = "disabled"
    """The hook is not enabled."""
    SILENCED = "silenced"
    """The notification silences every hook."""
    SELECT = "select"
    """The hook selects other subjects."""
    APP = "app"
    """The hook is for another app."""
    COMPOSED = "composed"
    """The notification was not composed with the hook, which has a brace without a default."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Whether one hook fires for one event."""

    hook_id: str
    stop: Stop | None
    """None: it fires."""
    detail: str
    """A sentence for people, without a full stop; empty if it fires."""


def explain(hook: Hook, event: Event) -> Explanation:
    """The first thing that stops `hook` for `event`. It fires exactly if `Index.match` says so."""
    stop = next((stop for stop in Stop if _stops(stop, hook, event)), None)
    return Explanation(hook.id, stop, "" if stop is None else _sentence(stop, hook, event))


def _stops(stop: Stop, hook: Hook, event: Event) -> bool:
    match stop:
        case Stop.TRIGGER:
            return hook.trigger != event.trigger
        case Stop.DISABLED:
            return not hook.enabled
        case Stop.SILENCED:
            return is_silenced(event)
        case Stop.SELECT:
            return hook.select is not None and event.subject not in hook.select
        case Stop.APP:
            return hook.app is not None and hook.app != event.app
        case Stop.COMPOSED:
            return hook.needs_composed and type(composed_values(event).get(hook.id)) is not dict
        case _:
            assert_never(stop)


def _sentence(stop: Stop, hook: Hook, event: Event) -> str:
    match stop:
        case Stop.TRIGGER:
            return f"the event is a {event.trigger}, and the hook is for {hook.trigger}"
        case Stop.DISABLED:
            return "the hook is not enabled"
        case Stop.SILENCED:
            return "the notification silences every hook (hooks_disabled)"
        case Stop.SELECT:
            subject = "no subject" if event.subject is None else f"the subject {event.subject}"
            selected = ", ".join(sorted(hook.select or ()))
            return f"the event has {subject}, and the hook selects {selected}"
        case Stop.APP:
            app = "no app" if event.app is None else f"the app {event.app}"
            return f"the event has {app}, and the hook is for {hook.app}"
        case Stop.COMPOSED:
            return "the notification was not composed with this hook (notification.hooks)"
        case _:
            assert_never(stop)
