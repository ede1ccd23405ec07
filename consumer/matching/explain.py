"""Why a hook does not fire for an event: the first thing that stops it. It is pure."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, assert_never

import orjson

from consumer.events.decode import user_of
from consumer.events.model import Event
from consumer.events.numbers import as_written
from consumer.events.path import walk
from consumer.hooks.conditions import Conditions, Test, first_failing
from consumer.hooks.table import Hook
from consumer.matching.index import composed_values, is_silenced

_MAX_SHOWN: Final = 200
"""Characters of an event's value, and of a test's argument."""
_NAMES: Final[dict[type, str]] = {bool: "boolean", str: "text", list: "array", dict: "object"}
_KINDS: Final = {
    "missing": "{0} is missing, and does not pass `{1}: {2}`",
    "boolean": "{0} is a boolean, and does not pass `{1}: {2}`",
    "text": "{0} is a text, and does not pass `{1}: {2}`",
    "array": "{0} is an array, and does not pass `{1}: {2}`",
    "empty": "{0} is an empty array, and does not pass `{1}: {2}`",
    "object": "{0} is an object, and does not pass `{1}: {2}`",
    "number": "{0} is a number, and does not pass `{1}: {2}`",
}
"""Sentences by the kind of the value that failed: a path, the test's name and its argument."""
_MAX_ALTERNATIVES: Final = 3
"""Mappings of `any` whose failing tests a sentence names."""


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
    WHEN = "when"
    """The event does not pass the hook's conditions."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Whether one hook fires for one event."""

    hook_id: str
    stop: Stop | None
    """None: it fires."""
    detail: str
    """A sentence for people, without a full stop; empty if it fires. It names no value of the event
    but its subject and app.
    """
    condition: str = ""
    """Of `Stop.WHEN`: the test that failed, without a value of the event: `data.price: {"below":
    5}`, or `any`."""
    value: str | None = None
    """Of `Stop.WHEN`: the event's value that failed the test, as JSON, cut short; None if it is
    missing, or if a mapping of `any` had to pass. It may be a user's, so it is not
    for every role.
    """
    order: str = ""
    """Of a hook with `order` that fires: a sentence on it, without a full stop."""


def explain(hook: Hook, event: Event) -> Explanation:
    """The first thing that stops `hook` for `event`. It fires exactly if `Index.match` says so."""
    stop = next((stop for stop in Stop if _stops(stop, hook, event)), None)
    if stop is None:
        return Explanation(hook.id, None, "", order=_order(hook, event))
    detail = _sentence(stop, hook, event)
    if stop is not Stop.WHEN or hook.when is None:
        return Explanation(hook.id, stop, detail)
    test = first_failing(hook.when.tests, event.document)
    if test is None:
        return Explanation(hook.id, stop, detail, "any")
    condition = f'{test.path}: {{"{test.name}": {_as_json(test.argument)}}}'
    return Explanation(hook.id, stop, detail, condition, _as_json(walk(event.document, test.steps)))


def _order(hook: Hook, event: Event) -> str:
    if hook.order is None:
        return ""
    if user_of(event) is None:
        return "in no order: the event has no user.id"
    return "in order for its user, within its partition"


def _stops(stop: Stop, hook: Hook, event: Event) -> bool:  # noqa: PLR0911  # one for each stop
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
        case Stop.WHEN:
            return hook.when is not None and not hook.when.hold(event.document)
        case _:
            assert_never(stop)


def _sentence(stop: Stop, hook: Hook, event: Event) -> str:  # noqa: PLR0911  # likewise
    match stop:
        case Stop.TRIGGER:
            return f"the event's trigger is {event.trigger}, and the hook's is {hook.trigger}"
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
        case Stop.WHEN:
            return _failing_sentence(hook.when, event.document) if hook.when is not None else ""
        case _:
            assert_never(stop)


def _failing_sentence(conditions: Conditions, document: dict[str, Any]) -> str:
    test = first_failing(conditions.tests, document)
    if test is not None:
        return _test_sentence(test, document)
    found = [first_failing(tests, document) for tests in conditions.alternatives]
    failing = [_test_sentence(test, document) for test in found if test is not None]
    more = len(failing) - _MAX_ALTERNATIVES
    shown = failing[:_MAX_ALTERNATIVES] + ([f"and {more} more"] if more > 0 else [])
    return f"no mapping of `any` passes: {'; '.join(shown)}"


def _test_sentence(test: Test, document: dict[str, Any]) -> str:
    said = _KINDS[_kind(walk(document, test.steps))]
    return said.format(test.path, test.name, _as_json(test.argument))


def _kind(value: Any) -> str:
    """What a value is, without the value."""
    if value is None:
        return "missing"
    if type(value) is list and not value:
        return "empty"
    return _NAMES.get(type(value), "number")


def _as_json(value: Any) -> str | None:
    """A value as JSON, cut short; None if it is missing. An event may be nested more deeply than
    can be written again.
    """
    if value is None:
        return None
    try:
        text = orjson.dumps(value, default=as_written).decode()
    except orjson.JSONEncodeError:
        text = _kind(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"
