"""What a definition under way makes of recent events."""

from dataclasses import replace

import pytest

from consumer.delivery.http.origins import Origin, RequestValue
from consumer.panel.pages.form_fields import HookForm, LabelRow, SecretRow, ValueRow
from consumer.panel.pages.sealed_texts import shortened
from consumer.panel.pages.trial import (
    HIDDEN,
    LISTED,
    NEW_ID,
    change_effect,
    choose_event,
    close_names,
    sample_view,
    suggestions,
    trial_definition,
)
from consumer.services.checker import Checker
from consumer.services.replay import Result
from support.fakes import FakeClock
from support.page_data import SETTINGS, PageData

CHECKER = Checker(SETTINGS)


def _events(count: int = 30) -> PageData:
    data = PageData(FakeClock())
    for index in range(count):
        event = {
            "id": f"e{index}",
            "user": {"id": f"u{index}", "attributes": {"city": "Ankara"} if index % 3 else {}},
            "notification": {"id": "spring" if index % 2 else "summer"},
            "data": {"category": "shoes"},
        }
        data.add_event("push_click", event, 100 - index)
    return data


EVENTS = _events().recent["push_click"]


def _hook(**fields: object) -> "object":
    return {
        "id": "h", "name": "Hook", "trigger": "push_click", "uri": "https://e.example/x", **fields,
    }  # fmt: skip


OLD = CHECKER.definition(_hook(select=["spring"]), "definition")
CITY = [{"key": "city", "source": "profile", "value": "city", "missing": "reject"}]


def test_a_form_that_is_not_finished_has_a_request() -> None:
    """A form without an id and labels is checked as if they were there, so its request is seen
    while it is written; what was typed stands.
    """
    form = HookForm(
        trigger="push_click", uri="https://e.example/{code}", labels=(LabelRow("code"),)
    )
    hook = CHECKER.definition(trial_definition(form), "definition")
    assert hook.id == NEW_ID
    assert hook.uri_variables[0].label == "code"
    gone = trial_definition(replace(form, uri="https://e.example/{other}"))
    assert list(gone["uri_parameters"]) == ["other"]
    named = trial_definition(replace(form, id="own", labels=(LabelRow("code", "Code"),)))
    assert (named["id"], named["uri_parameters"]["code"]["label"]) == ("own", "Code")


def test_a_typed_secret_is_in_no_sample() -> None:
    """A secret that was typed in a header, a parameter or as a key that signs is replaced before
    anything is made of the definition, and the definition is still valid.
    """
    typed = "hunter2-hunter2"
    row = ValueRow(key="X-Key", source="fixed", value=typed, secret=True)
    form = HookForm(
        id="h", name="h", trigger="event", uri="https://e.example/", headers=(row,),
        parameters=(row,), signing_secrets=(SecretRow(value=typed), SecretRow(kept="mark")),
    )  # fmt: skip
    definition = trial_definition(form)
    assert typed not in repr(definition)
    assert definition["headers"][0]["value"] == HIDDEN
    CHECKER.definition(definition, "definition")


def test_sealed_texts_are_cut_short() -> None:
    """A command shows that a value is sealed, and not the long text of it."""
    assert shortened("-H 'A: ${sealed:aB_-9}'") == "-H 'A: ${sealed:…}'"


def test_the_event_is_the_chosen_one_else_the_newest_that_fires() -> None:
    """An event that was chosen is used as long as it is there; else the newest one for which the
    hook fires, else the newest.
    """
    assert choose_event(EVENTS, "push-click/0/95", OLD) is EVENTS[5]
    assert choose_event(EVENTS, "push-click/0/9", OLD) is EVENTS[1]
    assert choose_event(EVENTS, None, None) is EVENTS[0]
    none_fire = CHECKER.definition(_hook(select=["other"]), "definition")
    assert choose_event(EVENTS, None, none_fire) is EVENTS[0]
    assert choose_event([], "push-click/0/95", OLD) is None


def test_a_change_is_tried_on_recent_events() -> None:
    """The effect of a change counts what fires now and before, what stops or rejects the others,
    and lists the events that fire newly and no more, with the reason.
    """
    new = CHECKER.definition(_hook(select=["summer"], parameters=CITY), "definition")
    effect = change_effect(EVENTS, new, OLD)
    assert (effect.events, effect.fires, effect.fired) == (30, 10, 15)
    assert [(one.result, one.count) for one in effect.others] == [
        (Result.STOPPED, 15),
        (Result.REJECTED, 5),
    ]
    assert (len(effect.newly), effect.more_newly) == (LISTED, 0)
    assert (len(effect.no_longer), effect.more_no_longer) == (LISTED, 5)
    assert effect.newly[0].event_id == "e2"
    assert {one.found.why for one in effect.no_longer} == {"select"}


def test_a_new_hook_has_no_before() -> None:
    """The effect of a hook that is made says how many fire, and compares with nothing."""
    effect = change_effect(EVENTS, OLD, None)
    assert (effect.fires, effect.fired) == (15, None)
    same = change_effect(EVENTS, OLD, OLD)
    assert (same.fires, same.fired, same.newly, same.no_longer) == (15, 15, [], [])


def test_fields_suggest_what_recent_events_hold() -> None:
    """Subjects and names come with the most frequent first, spelt as a value of their source is,
    and without a value of a user.
    """
    found = suggestions(EVENTS)
    assert sorted(found.subjects) == [("spring", 15), ("summer", 15)]
    assert found.names["profile"] == ["id", "city"]
    assert found.names["event"] == ["data.category"]
    assert "Ankara" not in repr(found)


@pytest.mark.parametrize("enabled", [True, False])
def test_a_sample_of_a_paused_hook_says_what_else_stops_it(*, enabled: bool) -> None:
    """The request of a hook is shown as if it were on: that it is off is said beside its switch."""
    hook = CHECKER.definition(_hook(select=["spring"], enabled=enabled), "definition")
    view = sample_view(hook, EVENTS[1].event, "curl", "")
    assert (view.stop, view.curl) == (None, "curl")
    assert sample_view(hook, EVENTS[0].event, "curl", "").stop == "select"


def test_a_value_that_is_nowhere_has_the_close_names_of_its_source() -> None:
    """A name without a value is answered with those of recent events that are close to it, of the
    source that it names and of no other; a value that was found needs none.
    """
    names = {"profile": ["id", "city"], "event": ["data.category", "data.city"]}
    missing = RequestValue("header", "X", Origin.NOWHERE, "citty", None, ("profile citty",))
    assert close_names(missing, names) == ["city"]
    path = RequestValue("header", "X", Origin.NOWHERE, "", None, ("event data.categry",))
    assert close_names(path, names) == ["data.category"]
    assert close_names(replace(missing, origin=Origin.PROFILE), names) == ()
    assert close_names(replace(missing, looked_at=("device citty",)), names) == []
