"""What a definition would do for recent events, and what these hold."""

import orjson

from consumer.hooks.condition_form import parse_conditions
from consumer.services.event_names import MAX_NAMES, NameCount, NameTally
from consumer.services.replay import MAX_EXAMPLES, ReplayTally, Result
from support.fakes import make_event, make_hook, make_value


def test_events_are_counted_by_what_would_become_of_them() -> None:
    """Events are counted as those that a hook would fire for, those that stop it, by what does, and
    those that it would be rejected for, by why, each with examples and without a value of a user.
    """
    hook = make_hook(
        trigger="event",
        app="shop",
        parameters=[("uid", make_value("profile", "city", "reject"))],
    )
    tally = ReplayTally(hook)
    city = {"user": {"attributes": {"city": "canary"}}}
    for number in range(10):
        tally.take(make_event({"id": f"fires-{number}", "app": "shop", **city}), f"t/0/{number}")
    tally.take(make_event({"id": "other", "app": "bank"}), "t/1/0")
    tally.take(make_event({"id": "lost", "app": "shop"}), "t/1/1")
    found = tally.outcomes()
    assert [(one.result, one.why, one.count) for one in found] == [
        (Result.FIRES, "", 10),
        (Result.REJECTED, "parameter uid has no value", 1),
        (Result.STOPPED, "app", 1),
    ]
    assert [one.event_id for one in found[0].examples] == ["fires-0", "fires-1", "fires-2"]
    assert len(found[0].examples) == MAX_EXAMPLES
    assert found[2].examples[0].record_ref == "t/1/0"
    assert "the app bank" in found[2].examples[0].detail
    assert (tally.events, "canary" in repr(found)) == (12, False)


def test_events_are_counted_by_the_condition_that_stops_them() -> None:
    """Events that a hook's conditions stop are counted by the test that failed, without a value of
    a user.
    """
    when = parse_conditions({"user.id": ["u1", "u2"], "data.price": {"below": 5}})
    tally = ReplayTally(make_hook(trigger="event", when=when))
    for user, price in (("canary", 1), ("u1", 7), ("u2", 9), ("u1", 4)):
        tally.take(make_event({"id": "e", "user": {"id": user}, "data": {"price": price}}), "t/0/1")
    found = tally.outcomes()
    assert [(one.why, one.condition, one.count) for one in found] == [
        ("when", 'data.price: {"below": 5}', 2),
        ("", "", 1),
        ("when", 'user.id: {"any_of": ["u1","u2"]}', 1),
    ]
    assert "canary" not in repr(found)


def test_names_are_counted_and_values_only_if_asked_for() -> None:
    """Subjects, attribute names and data names are counted, inner ones with dots; values are kept
    only if they were asked for, as a few short examples.
    """
    event = {
        "id": "e",
        "app": "shop",
        "user": {"attributes": {"city": "canary"}},
        "device": {"attributes": {"mdl": "iPhone"}},
        "data": {"event_key": "purchase", "item": {"price": 5, "tags": ["a", "b"]}},
    }
    plain, full = NameTally(values=False), NameTally(values=True)
    for tally in (plain, full):
        for _ in range(3):
            tally.take(make_event(event))
        tally.take(make_event({"id": "f", "user": {"attributes": {"city": "x" * 500}}}))
    found = plain.names()
    assert "canary" not in repr(found)
    assert (found.events, found.subjects) == (4, [NameCount("purchase", 3)])
    assert found.apps == [NameCount("shop", 3)]
    assert found.parts["data"] == [
        NameCount("event_key", 3), NameCount("item.price", 3), NameCount("item.tags", 3),
    ]  # fmt: skip
    assert found.parts["user.attributes"] == [NameCount("city", 4)]
    examples = {one.name: one.examples for one in full.names().parts["user.attributes"]}
    assert examples == {"city": ("canary", "x" * 100)}
    [tags] = [one for one in full.names().parts["data"] if one.name == "item.tags"]
    assert tags.examples == ("a,b",)


def test_names_are_bounded() -> None:
    """Events with ever new names are counted in bounded memory, and what is left out is told."""
    tally = NameTally(values=True)
    for number in range(2 * MAX_NAMES):
        data = orjson.loads(orjson.dumps({"event_key": "k", f"n{number}": 1, "y" * 300: 1}))
        tally.take(make_event({"id": "e", "data": data}))
    found = tally.names()
    assert len(found.parts["data"]) == MAX_NAMES
    assert found.left_out == 2 * MAX_NAMES + MAX_NAMES + 1
