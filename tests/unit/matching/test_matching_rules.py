"""Which hooks an event fires: the rules of docs/reference/events.md and hooks.md, one by one."""

from typing import Any

import pytest

from consumer.events.model import Event
from consumer.hooks.table import Hook
from consumer.matching.index import composed_values
from consumer.matching.store import make_index
from support.fakes import make_event, make_hook, make_table

COMPOSED = {"h1": {"campaign": "spring"}}


def click(notification: object = None, **parts: object) -> Event:
    """A push click on `notification`."""
    document: dict[str, Any] = {"id": "e1", "notification": notification, **parts}
    return make_event(document, "push_click")


def hook(**differences: Any) -> Hook:
    """A hook on every push click."""
    return make_hook(**{"trigger": "push_click", **differences})


@pytest.mark.parametrize(
    ("definition", "event", "fires"),
    [
        (hook(), click(), True),
        (hook(enabled=False), click(), False),
        (hook(trigger="event"), click(), False),
        (hook(select=frozenset({"a", "b"})), click({"id": "a"}), True),
        (hook(select=frozenset({"a", "b"})), click({"id": "c"}), False),
        (hook(select=frozenset({"a"})), click(), False),
        (hook(app="shop"), click(app="shop"), True),
        (hook(app="shop"), click(app="bank"), False),
        (hook(app="shop"), click(), False),
        (hook(), click({"id": "a", "hooks_disabled": True}), False),
        (hook(), click({"id": "a", "hooks_disabled": False}), True),
        (hook(select=frozenset({"a"})), click({"id": "a", "hooks_disabled": True}), False),
        (hook(needs_composed=True), click({"id": "a", "hooks": COMPOSED}), True),
        (hook(needs_composed=True), click({"id": "a", "hooks": {"h1": {}}}), True),
        (hook(needs_composed=True), click({"id": "a", "hooks": {"h2": {}}}), False),
        (hook(needs_composed=True), click({"id": "a", "hooks": {"h1": None}}), False),
        (hook(needs_composed=True), click({"id": "a"}), False),
        (hook(needs_composed=True), click(), False),
    ],
)
def test_what_fires(definition: Hook, event: Event, fires: bool) -> None:
    """Trigger, selection, app, silence and composition each decide if a hook fires."""
    assert make_index(make_table(definition)).match(event) == ((definition,) if fires else ())


BUTTONS = {
    "buy": {"hooks": {"h1": {"campaign": "button"}}},
    "later": {"title": "Later"},
    "odd": {"hooks": "none"},
    "empty": {"hooks": {}},
}


@pytest.mark.parametrize(
    ("data", "values"),
    [
        ({"action_id": "buy"}, {"h1": {"campaign": "button"}}),
        ({"action_id": "empty"}, {}),
        ({"action_id": "later"}, COMPOSED),
        ({"action_id": "odd"}, COMPOSED),
        ({"action_id": "unknown"}, COMPOSED),
        ({"action_id": ["buy"]}, COMPOSED),
        ({"action_id": None}, COMPOSED),
        ({}, COMPOSED),
        (None, COMPOSED),
    ],
)
def test_a_buttons_values_stand_in_place_of_the_notifications(data: object, values: object) -> None:
    """The composed values of a clicked button replace the notification's, even if they are
    empty.
    """
    event = click({"id": "a", "hooks": COMPOSED, "buttons": BUTTONS}, data=data)
    assert composed_values(event) == values


@pytest.mark.parametrize(
    "notification", [None, {}, {"hooks": None}, {"hooks": ["h1"]}, {"buttons": {"buy": "x"}}]
)
def test_odd_notifications_have_no_values(notification: object) -> None:
    """A notification of any other shape has no composed values and raises nothing."""
    assert composed_values(click(notification, data={"action_id": "buy"})) == {}


def test_every_hook_of_the_table_is_known_by_id() -> None:
    """Every hook of the table is found by its id, disabled ones included."""
    off = make_hook("off", enabled=False)
    assert make_index(make_table(off)).hooks["off"] is off


def test_hooks_that_are_not_enabled_are_matched_apart() -> None:
    """Hooks that are not enabled are matched separately, so that their events can be counted."""
    on, off = hook(id="on"), hook(id="off", enabled=False, select=frozenset({"a"}))
    index = make_index(make_table(on, off))
    assert index.disabled is not None
    assert [one.id for one in index.match(click({"id": "a"}))] == ["on"]
    assert [one.id for one in index.disabled.match(click({"id": "a"}))] == ["off"]
    assert index.disabled.match(click({"id": "b"})) == ()
    assert set(index.hooks) == {"on", "off"}
    assert make_index(make_table(on)).disabled is None
