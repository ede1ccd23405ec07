"""The form that a notification is composed with, and the JSON of what was entered."""

import orjson

from consumer.events.triggers import Trigger
from consumer.panel.pages.compose_page import ComposeGroup, composed_json, group_of, preview
from consumer.services.checker import Checker
from consumer.services.compose import asking
from support.page_data import SETTINGS

CHECKER = Checker(SETTINGS)
CLICK: Trigger = "push_click"


def _hook(hook_id: str, uri: str, **labels: dict[str, str]) -> dict[str, object]:
    return {
        "id": hook_id, "name": hook_id.title(), "trigger": CLICK, "uri": uri,
        "uri_parameters": labels,
    }  # fmt: skip


HOOKS = [
    CHECKER.definition(one, "definition")
    for one in (
        _hook("a", "https://e.example/{code}/{x.y}", code={"label": "Code"},
              **{"x.y": {"label": "Place", "default": "none"}}),
        _hook("b", "https://e.example/{z}", z={"label": "Zone", "default": "0"}),
        _hook("c", "https://e.example/"),
    )
]  # fmt: skip


def _groups(**given: str) -> list[ComposeGroup]:
    named = {name.replace("__", "."): text for name, text in given.items()}
    return [group_of(hook, named) for hook in asking(HOOKS, CLICK, None)]


def test_each_labelled_field_of_each_hook_is_asked_for_once() -> None:
    """Fields come by hook, with label, default, and whether the hook needs them; a hook without
    braces asks for nothing.
    """
    assert [
        (group.hook_id, [(one.brace, one.label, one.default, one.required) for one in group.fields])
        for group in _groups()
    ] == [
        ("a", [("code", "Code", None, True), ("x.y", "Place", "none", False)]),
        ("b", [("z", "Zone", "0", False)]),
    ]
    shown = preview(HOOKS[0])
    assert shown == _groups()[0]
    assert preview(HOOKS[2]) is None


def test_what_was_entered_becomes_the_values_of_the_notification() -> None:
    """The JSON holds each entered value under its hook and name, and no hook that was left empty:
    a mapping of nothing would make a hook fire that was not composed.
    """
    assert orjson.loads(composed_json(_groups(a__code="spring 26", a__x__y="Ş"))) == {
        "a": {"code": "spring 26", "x.y": "Ş"}
    }
    assert orjson.loads(composed_json(_groups())) == {}


def test_a_required_field_that_is_empty_is_named() -> None:
    """A hook of which something is entered says which field it lacks, and one that has all of them
    says nothing.
    """
    [first, _] = _groups(a__x__y="1")
    assert [one.brace for one in first.lacking] == ["code"]
    [first, second] = _groups(a__code="1")
    assert [*first.lacking, *second.lacking] == []
    assert (first.needs_values, second.needs_values) == (True, False)
