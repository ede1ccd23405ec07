"""What stops a hook is explained as matching decides it."""

import json
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.events.decode import Decoder
from consumer.events.model import Event
from consumer.events.triggers import Trigger
from consumer.hooks.condition_form import parse_conditions
from consumer.matching.explain import Stop, explain
from consumer.matching.store import make_index
from support.fakes import FakeRecord, make_event, make_hook

PRICE = parse_conditions({"data.price": {"below": 5}})
SEVERAL = parse_conditions({"any": [{"data.a": 1}, {"data.b": ["x"]}]})
_CASES: list[tuple[dict[str, Any], dict[str, Any], Stop | None, str]] = [
    ({"trigger": "geofence"}, {}, Stop.TRIGGER, "the event's trigger is push_click"),
    ({"enabled": False}, {}, Stop.DISABLED, "not enabled"),
    ({}, {"notification": {"hooks_disabled": True}}, Stop.SILENCED, "hooks_disabled"),
    ({"select": {"a", "b"}}, {"notification": {"id": "c"}}, Stop.SELECT, "selects a, b"),
    ({"select": {"a"}}, {}, Stop.SELECT, "no subject"),
    ({"app": "shop"}, {"app": "bank"}, Stop.APP, "the app bank, and the hook is for shop"),
    ({"app": "shop"}, {}, Stop.APP, "no app"),
    ({"needs_composed": True}, {"notification": {"id": "a"}}, Stop.COMPOSED, "not composed"),
    ({"when": PRICE}, {"data": {"price": 7}}, Stop.WHEN,
     "data.price is a number, and does not pass `below: 5`"),
    ({"when": PRICE}, {"data": {"price": ["canary"]}}, Stop.WHEN, "data.price is an array"),
    ({"when": PRICE}, {"data": 1}, Stop.WHEN, "data.price is missing"),
    ({"when": SEVERAL}, {"data": {"a": True}}, Stop.WHEN,
     "passes: data.a is a boolean, and does not pass `equals: 1`; data.b is missing, and"),
    ({"when": PRICE}, {"data": {"price": 4}}, None, ""),
    ({}, {}, None, ""),
    ({"select": {"a"}, "app": "shop"}, {"notification": {"id": "a"}, "app": "shop"}, None, ""),
]  # fmt: skip


@pytest.mark.parametrize(("hook", "document", "stop", "words"), _CASES)
def test_each_stop_has_its_sentence(
    hook: dict[str, Any], document: dict[str, Any], stop: Stop | None, words: str
) -> None:
    """Whatever stops a hook has its name and its own sentence, and a hook that fires has none."""
    made = {"trigger": "push_click", **hook}
    if "select" in made:
        made["select"] = frozenset(made["select"])
    event = make_event({"id": "e1", **document}, trigger="push_click")
    found = explain(make_hook(**made), event)
    assert (found.stop, words in found.detail) == (stop, True)
    assert bool(found.detail) == (stop is not None)


def decode(document: object) -> Event:
    """An event as the daemon decodes it, also one that orjson cannot write."""
    return Decoder("event")(FakeRecord(json.dumps(document).encode()))


@pytest.mark.parametrize(
    ("price", "value"),
    [
        (7, "7"), ("a" * 300, '"' + "a" * 199 + "…"), ([1, None], "[1,null]"), (None, None),
        (123456789012345678901, "123456789012345678901"),
    ],
)  # fmt: skip
def test_the_value_that_failed_is_told_apart(price: object, value: str | None) -> None:
    """The event's value that failed is in a field of its own, cut short, since it may be a
    user's.
    """
    conditions = parse_conditions({"data.price": {"equals": "no"}})
    event = decode({"id": "e1", "data": {"price": price}})
    found = explain(make_hook(trigger="event", when=conditions), event)
    assert (found.stop, found.value) == (Stop.WHEN, value)
    assert "aaa" not in found.detail


def test_a_value_that_cannot_be_written_is_named_by_its_kind() -> None:
    """A value that is nested more deeply than JSON can be written is shown as what it is."""
    deep: list[object] = []
    for _ in range(500):
        deep = [deep]
    conditions = parse_conditions({"data.a": 1})
    found = explain(make_hook(when=conditions), decode({"id": "e", "data": {"a": deep}}))
    assert found.value == "array"


_HOOKS = st.fixed_dictionaries(
    {
        "trigger": st.sampled_from(get_args(Trigger)),
        "enabled": st.booleans(),
        "select": st.none() | st.frozensets(st.sampled_from("ab"), min_size=1),
        "app": st.none() | st.sampled_from(["shop", "bank"]),
        "needs_composed": st.booleans(),
    }
)
_NOTIFICATIONS = st.fixed_dictionaries(
    {},
    optional={
        "id": st.sampled_from("abc"),
        "hooks_disabled": st.sampled_from([True, False, "yes"]),
        "hooks": st.sampled_from([{"h1": {}}, {"h1": "x"}, {"h2": {}}, []]),
        "buttons": st.just({"buy": {"hooks": {"h1": {}}}}),
    },
)
_EVENTS = st.fixed_dictionaries(
    {"id": st.just("e1")},
    optional={
        "app": st.sampled_from(["shop", "bank"]),
        "notification": _NOTIFICATIONS,
        "data": st.fixed_dictionaries(
            {},
            optional={
                "action_id": st.just("buy"),
                "geofence_id": st.sampled_from("abc"),
                "event_key": st.sampled_from("abc"),
            },
        ),
    },
)


@given(hook=_HOOKS, document=_EVENTS, trigger=st.sampled_from(get_args(Trigger)))
def test_a_hook_fires_exactly_if_nothing_stops_it(
    hook: dict[str, Any], document: dict[str, Any], trigger: Trigger
) -> None:
    """Explaining agrees with matching for every hook and event."""
    made, event = make_hook("h1", **hook), make_event(document, trigger=trigger)
    assert (explain(made, event).stop is None) == (made in make_index({"h1": made}).match(event))
