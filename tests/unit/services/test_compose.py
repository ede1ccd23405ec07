"""The form for the values that hooks ask for when a notification is composed."""

from dataclasses import replace

import jsonschema
import pytest

from consumer.services.compose import compose_form
from support.fakes import make_brace, make_hook, make_value

ORIGIN = "https://receiver.example"
HOOKS = [
    make_hook(
        "spring",
        trigger="push_click",
        select=frozenset({"sale"}),
        uri=f"{ORIGIN}/{{code}}/{{team}}/{{city}}",
        variables=[
            replace(make_brace("code"), label="Campaign code"),
            replace(make_brace("team", default="crm"), label="Team"),
            replace(make_brace("city", entry=make_value("profile", "city")), label="City"),
        ],
    ),
    make_hook("other", trigger="push_click", select=frozenset({"autumn"}), uri=f"{ORIGIN}/{{b}}"),
    make_hook("off", trigger="push_click", enabled=False, uri=f"{ORIGIN}/{{b}}"),
    make_hook("fence", trigger="geofence", uri=f"{ORIGIN}/{{b}}"),
    make_hook("plain", trigger="push_click", uri=f"{ORIGIN}/x"),
]


def test_the_form_asks_for_what_the_hooks_need() -> None:
    """The form holds the labelled names of the hooks that fire for the subject, with their
    defaults; a name that has neither a default nor a parameter is required.
    """
    form = compose_form(HOOKS, "push_click", "sale")
    jsonschema.Draft202012Validator.check_schema(form)
    assert form["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert form["properties"] == {
        "spring": {
            "title": "spring",
            "type": "object",
            "properties": {
                "code": {"title": "Campaign code", "type": "string"},
                "team": {"title": "Team", "type": "string", "default": "crm"},
                "city": {"title": "City", "type": "string"},
            },
            "required": ["code"],
            "additionalProperties": False,
        }
    }


@pytest.mark.parametrize(
    ("values", "fits"),
    [
        ({}, True),
        ({"spring": {"code": "a"}}, True),
        ({"spring": {}}, False),
        ({"spring": {"code": "a", "cod": "b"}}, False),
        ({"sprin": {"code": "a"}}, False),
    ],
)
def test_the_form_judges_what_is_entered(values: object, fits: bool) -> None:
    """Values fit the form if each hook that is named has its required names and no unknown ones."""
    form = compose_form(HOOKS, "push_click", "sale")
    assert jsonschema.Draft202012Validator(form).is_valid(values) == fits


def test_another_subject_has_another_form() -> None:
    """A subject that no hook selects gets only the hooks of all subjects."""
    assert compose_form(HOOKS, "push_click", None)["properties"] == {}
    assert list(compose_form(HOOKS, "push_click", "autumn")["properties"]) == ["other"]
