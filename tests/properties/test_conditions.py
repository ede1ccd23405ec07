"""Conditions decide as a naive reading of their rules; the index as a look at every hook."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consumer.control.difference import definition_yaml, written_definition
from consumer.documents.yaml_reader import read_yaml
from consumer.events.decode import Decoder
from consumer.events.model import Event
from consumer.events.numbers import LongNumber
from consumer.hooks.condition_form import TESTS as TEST_NAMES
from consumer.hooks.condition_form import json_value
from consumer.hooks.load_context import LoadContext
from consumer.hooks.loading import load_definition, load_document
from consumer.hooks.secrets import SecretReader
from consumer.hooks.source import Change, Delete, Upsert
from consumer.hooks.table import Hook
from consumer.matching import filing, layers
from consumer.matching.conditional import ConditionalIndex
from consumer.matching.explain import Stop, explain
from consumer.matching.store import HookStore, make_index
from support.fakes import FakeRecord
from support.oracle import conditions_hold

# Few names and values, so that they often meet; among them those that Python takes for equal.
PATHS = ["data.a", "data.b", "data.c.d", "user.attributes.s", "data.a.0", "data"]
SCALARS = st.sampled_from(
    [
        0,
        1,
        1.0,
        -1,
        2.5,
        10**15,
        True,
        False,
        "",
        "a",
        "A",
        "ab",
        "b",
        "1",
        "true",
        "ß",
        "SS",
        "1e3",
    ]
)
NUMBERS = st.sampled_from([-1, 0, 1, 1.0, 2.5, 10**15, 2**63])
PARTS = st.sampled_from(["a", "b", "ab", "1", "SS", "ss", "true"])
LISTS = st.lists(SCALARS, min_size=1, max_size=4)
ARGUMENTS: Mapping[str, st.SearchStrategy[Any]] = {
    "equals": SCALARS, "any_of": LISTS, "not": SCALARS | LISTS, "below": NUMBERS,
    "at_most": NUMBERS, "above": NUMBERS, "at_least": NUMBERS, "starts_with": PARTS,
    "ends_with": PARTS, "contains": PARTS, "exists": st.booleans(), "same_text": PARTS,
}  # fmt: skip
TESTS = (
    SCALARS
    | LISTS
    | st.sampled_from(sorted(ARGUMENTS)).flatmap(
        lambda name: st.fixed_dictionaries({name: ARGUMENTS[name]})
    )
    | st.fixed_dictionaries({"at_least": st.just(0), "below": st.sampled_from([2, 10**16])})
)
MAPPINGS = st.dictionaries(st.sampled_from(PATHS), TESTS, min_size=1, max_size=3)
WHENS = st.builds(
    lambda mapping, several: {**mapping, **({"any": several} if several else {})},
    MAPPINGS,
    st.lists(MAPPINGS, max_size=2),
)
JSON = st.recursive(
    st.none() | SCALARS | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(2**64, 10**30) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["a", "b", "d", "0"]), inner, max_size=2),
    max_leaves=6,
)  # fmt: skip
DOCUMENTS = st.fixed_dictionaries(
    {"id": st.just("e")},
    optional={
        "app": st.sampled_from(["shop", "bank"]),
        "user": st.fixed_dictionaries({"attributes": st.fixed_dictionaries({"s": JSON})}),
        "data": JSON
        | st.fixed_dictionaries(
            {},
            optional={
                "event_key": st.sampled_from("xy"), "a": SCALARS | JSON,
                "b": SCALARS | st.lists(SCALARS, max_size=2) | JSON,
                "c": st.fixed_dictionaries({"d": JSON}),
            },
        ),
        "notification": st.sampled_from(
            [{"hooks": {"h1": {}}}, {"hooks_disabled": True}, {"hooks": {}}]
        ),
    },
)  # fmt: skip
quickly = settings(
    deadline=None,
    max_examples=200,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def context() -> LoadContext:
    """A load without secrets."""
    return LoadContext(SecretReader({}, []))


def definition(when: Any, **fields: Any) -> dict[str, Any]:
    """A definition with conditions, as JSON."""
    return {"id": "h1", "trigger": "event", "uri": "https://x.example", "when": when, **fields}


def load(given: dict[str, Any]) -> Hook:
    """The hook of a definition, as of a live one."""
    return load_definition(given, context(), "test")


def decode(document: Any) -> Event:
    """The event as the daemon decodes it, numbers of any length among its values."""
    return Decoder("event")(FakeRecord(json.dumps(document).encode()))


@quickly
@given(when=WHENS, document=DOCUMENTS)
def test_conditions_equal_a_naive_evaluator(when: dict[str, Any], document: Any) -> None:
    """Conditions pass an event exactly if a naive evaluator of the same JSON does, and explaining
    agrees.
    """
    hook, event = load(definition(when)), decode(document)
    assert hook.when is not None
    expected = conditions_hold(when, document)
    assert hook.when.hold(event.document) is expected
    found = explain(hook, event)
    assert (found.stop in {None, Stop.SILENCED}) is expected or found.stop is Stop.SILENCED


@quickly
@given(when=WHENS)
def test_a_definition_is_the_same_hook_as_yaml_and_as_json(when: dict[str, Any]) -> None:
    """Conditions that are written as YAML and read again are equal to those of the JSON, and texts
    stay texts.
    """
    given = definition(when)
    [document] = read_yaml(definition_yaml(given))
    read = json_value(document.data["when"])
    assert orjson.dumps(read) == orjson.dumps(when)
    assert load_document(document, context(), "test").when == load(given).when
    assert written_definition({**given, "when": read}) == written_definition(given)


ODD_VALUES = [
    float("nan"), float("inf"), 10**5000, LongNumber("9" * 5000), LongNumber("-1e999"),
    "\ud800", [[[]]], {"a": {}}, [None], [], "x" * 10_000, None, True,
]  # fmt: skip
ODD_TESTS: Mapping[str, Any] = {
    "equals": 1, "any_of": ["a", 2.5], "not": [1], "below": 1, "at_most": 1.5, "above": 1,
    "at_least": 2**63, "starts_with": "a", "ends_with": "a", "contains": "a", "exists": False,
    "same_text": "a",
}  # fmt: skip


@pytest.mark.parametrize("name", TEST_NAMES)
def test_no_value_makes_a_test_raise(name: str) -> None:
    """Every test of any value is answered, also of values that JSON does not have."""
    when = load(definition({"data.a": {name: ODD_TESTS[name]}})).when
    assert when is not None
    for value in ODD_VALUES:
        for document in ({"data": {"a": value}}, {"data": value}, {"data": {"a": [value]}}):
            assert when.hold(document) in {True, False}


# Simple ones, which often pass, and often stop.
SIMPLE_TESTS = st.sampled_from([1, [1, 2], {"equals": 2}, {"above": 1}, {"not": 1}, "x", True])
SIMPLE_MAPPINGS = st.dictionaries(
    st.sampled_from(["data.a", "data.b"]), SIMPLE_TESTS, min_size=1, max_size=2
)
SIMPLE_WHENS = SIMPLE_MAPPINGS | st.lists(SIMPLE_MAPPINGS, min_size=1, max_size=2).map(
    lambda several: {"any": several}
)
SIMPLE_VALUES = st.sampled_from([1, 2, 2.0, "x", True, [1, 2], [2, 2], None])
SIMPLE_DOCUMENTS = st.fixed_dictionaries(
    {
        "id": st.just("e"),
        "data": st.fixed_dictionaries(
            {"a": SIMPLE_VALUES, "b": SIMPLE_VALUES, "event_key": st.sampled_from("xyz")}
        ),
    },
    optional={
        "app": st.sampled_from(["shop", "bank"]),
        "notification": st.sampled_from([{"hooks": {"h1": {}}}, {"hooks_disabled": True}]),
    },
)
HOOKS = st.builds(
    lambda hook_id, when, select, app, uri, enabled: load(
        definition(when, id=hook_id, select=select, app=app, uri=uri, enabled=enabled)
        | ({"uri_parameters": {"c": {"label": "C"}}} if "{" in uri else {})
    ),
    st.sampled_from(["h1", "h2", "h3", "h4"]),
    SIMPLE_WHENS | SIMPLE_WHENS | st.none(),
    st.none() | st.lists(st.sampled_from("xy"), min_size=1, unique=True),
    st.sampled_from([None, None, "shop"]),
    st.sampled_from(["https://x.example", "https://x.example", "https://x.example/{c}"]),
    st.integers(0, 5).map(bool),
)
STEPS = st.lists(
    st.lists(HOOKS.map(Upsert) | st.sampled_from(["h1", "h2", "h3"]).map(Delete), max_size=4)
    | SIMPLE_DOCUMENTS.map(decode)
    | SIMPLE_DOCUMENTS.map(decode),
    max_size=20,
)


def expected_of(hooks: Mapping[str, Hook], event: Event) -> tuple[set[str], set[str]]:
    """The ids of the hooks that fire for an event, and of those that only their conditions stop."""
    fires, stopped = set[str](), set[str]()
    for hook in hooks.values():
        if make_index({hook.id: replace(hook, when=None)}).match(event):
            is_passed = hook.when is None or hook.when.hold(event.document)
            (fires if is_passed else stopped).add(hook.id)
    return fires, stopped


@pytest.mark.parametrize("kept", ["copied", "layered"])
@pytest.mark.parametrize("max_entries", [1_000, 2])
@quickly
@given(steps=STEPS)
def test_the_index_of_conditions_equals_a_naive_scan(
    kept: str, max_entries: int, steps: list[list[Change] | Event]
) -> None:
    """Over any changes the index finds the hooks that a look at each one finds, and tells of each
    how many events its conditions stopped since its definition came into force.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layers, "_SMALL", 0 if kept == "layered" else 1_000)
        patch.setattr(filing, "_MAX_ENTRIES", max_entries)
        store, hooks, filtered = HookStore(), dict[str, Hook](), Counter[str]()
        for step in steps:
            if isinstance(step, list):
                store.apply(store.prepare(step))
                for change in step:
                    hook_id = change.hook.id if isinstance(change, Upsert) else change.hook_id
                    filtered[hook_id] = 0
                    hooks.pop(hook_id, None)
                    if isinstance(change, Upsert):
                        hooks[hook_id] = change.hook
            else:
                fires, stopped = expected_of(hooks, step)
                found = [hook.id for hook in store.view.match(step)]
                assert sorted(found) == sorted(fires)
                filtered.update(stopped)
        conditional = {one.id for one in hooks.values() if one.when is not None and one.enabled}
        assert dict(store.view.filtered()) == {one: filtered[one] for one in conditional}


def test_events_between_a_view_and_its_use_are_not_counted_for_new_hooks() -> None:
    """A hook that joins others counts the events since it came into force, not since its view was
    made.
    """
    old = load(definition({"data.a": 1}))
    store = HookStore([Upsert(old)])
    event = decode({"data": {"a": 2}})
    store.view.match(event)
    prepared = store.prepare([Upsert(load(definition({"data.a": 1}, id="h2")))])
    store.view.match(event)
    store.apply(prepared)
    assert dict(store.view.filtered()) == {"h1": 2, "h2": 0}
    store.view.match(event)
    assert dict(store.view.filtered()) == {"h1": 3, "h2": 1}


def test_nothing_is_kept_of_hooks_that_left() -> None:
    """Of hooks that were deleted or lost their conditions the index keeps neither paths nor
    values.
    """
    store = HookStore(
        Upsert(load(definition({"data.a": one, "data.b": {"above": 1}}, id=f"h{one}")))
        for one in range(3)
    )
    store.apply(store.prepare([Delete("h0"), Upsert(load(definition(None, id="h1")))]))
    view = store.view
    assert isinstance(view, ConditionalIndex)
    assert [len(view.tables.buckets), len(view.tables.groups)] == [1, 1]
    store.apply(store.prepare([Upsert(load(definition({"data.c": 1}, id="h2")))]))
    view = store.view
    assert isinstance(view, ConditionalIndex)
    assert [list(group.paths) for group in view.tables.groups.values()] == [["data.c"]]
    store.apply(store.prepare([Delete("h2")]))
    assert not isinstance(store.view, ConditionalIndex)


def test_a_hook_is_filed_under_its_most_selective_value() -> None:
    """Of a value that all hooks ask for and one that few ask for, the match looks at the hooks of
    the second.
    """
    hooks = [
        load(definition({"data.a": "buy", "data.b": f"t{number}"}, id=f"h{number}"))
        for number in range(50)
    ]
    view = HookStore(map(Upsert, hooks)).view
    assert isinstance(view, ConditionalIndex)
    assert max(map(len, view.tables.buckets.values())) <= 2  # of 50
    assert view.match(decode({"data": {"a": "buy", "b": "t7"}})) == (hooks[7],)
