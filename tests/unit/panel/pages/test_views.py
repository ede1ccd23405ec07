"""What the pages show of definitions, deliveries, hooks and events."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.journal.records import Followed, Phases
from consumer.panel.pages.definition_view import RateLimit, definition_view, uri_parts
from consumer.panel.pages.delivery_page import PHASE_WIDTH, phases, timeline
from consumer.panel.pages.events_page import HooksBySubject, event_view
from consumer.panel.pages.hook_page import replica_rows
from consumer.panel.pages.hooks_page import PAGE_SIZE, hook_list
from consumer.services.catalogue import HookState
from consumer.services.hook_reader import Filter, Listing
from support.fakes import FakeClock
from support.page_data import PageData, attempt, full, rfc3339

NOW = 1_800_000_000.0
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    [
        "id",
        "name",
        "uri",
        "uri_parameters",
        "select",
        "headers",
        "parameters",
        "when",
        "method",
        "rate_limit",
        "order",
        "retry_on",
        "timeout",
        "app",
        "enabled",
        "signing_secrets",
    ]
)


def test_a_definition_is_read_in_the_order_of_the_form() -> None:
    """Braces stand apart in the URI, each with its label and default; the rest is as written."""
    view = definition_view(
        {
            "id": "h", "name": "Hook", "trigger": "event", "uri": "https://e.example/{a}/x?b={b}",
            "uri_parameters": {"a": {"label": "Code", "default": "none"}},
            "headers": [{"key": "X-A", "source": "fixed", "value": "${env:A}"}],
            "timeout": "5s", "retry_on": [403], "rate_limit": {"requests": 50, "per": "1m"},
            "when": {"data.city": "Ankara"}, "order": "user", "new": "one",
        }
    )  # fmt: skip
    assert [(part.text, part.is_brace) for part in view.uri] == [
        ("https://e.example/", False), ("{a}", True), ("/x?b=", False), ("{b}", True),
    ]  # fmt: skip
    assert [(one.name, one.label, one.default) for one in view.braces] == [
        ("a", "Code", "none"),
        ("b", "", None),
    ]
    assert view.select is None
    assert [(row.key, row.value) for row in view.headers] == [("X-A", "${env:A}")]
    assert (view.settings, view.rate_limit) == (
        {"timeout": 5.0, "retry_on": ["403"], "order": "user"},
        RateLimit(50, 60.0, None),
    )
    assert view.conditions == [("data.city", '"Ankara"')]
    assert view.others == [("new", "one")]
    assert view.yaml.startswith("id: h\n")


@given(st.dictionaries(FIELDS, JSON))
def test_a_definition_of_any_shape_is_shown(definition: dict[str, Any]) -> None:
    """A definition that is refused is shown, whatever its fields hold."""
    definition_view(definition)


@pytest.mark.parametrize(
    "refused",
    [
        {"timeout": "soon"}, {"timeout": "9" * 400 + "h"}, {"timeout": 5}, {"retry_on": 403},
        {"rate_limit": {"requests": 10**15, "per": "1s"}}, {"rate_limit": {"requests": 5}},
        {"rate_limit": 50}, {"enabled": "no"}, {"app": ["shop"]},
        {"order": "users"},
    ],
    ids=str,
)  # fmt: skip
def test_a_setting_of_another_shape_is_shown_as_it_is_written(refused: dict[str, Any]) -> None:
    """What words cannot say of a refused definition is there all the same."""
    view = definition_view(refused)
    assert (view.settings, view.rate_limit) == ({}, None)
    assert [name for name, _ in view.others] == list(refused)


@given(st.text())
def test_the_parts_of_a_uri_are_the_uri(uri: str) -> None:
    """Nothing of a URI is lost or added when its braces are set apart."""
    assert "".join(part.text for part in uri_parts(uri)) == uri


def test_a_delivery_is_a_story_with_its_waits() -> None:
    """Attempts come in their order, each with the time since the end of the one before, and the
    end says what comes next.
    """
    first = attempt(NOW - 100, "h", "e", 1, outcome=Followed.RETRY, status=503,
                    ms=Phases(all=1_000.0), retry_at=rfc3339(NOW - 90))  # fmt: skip
    second = attempt(NOW - 88, "h", "e", 2, outcome=Followed.RETRY, status=503,
                     ms=Phases(all=2_000.0), retry_at=rfc3339(NOW + 30))  # fmt: skip
    found = timeline([second, first], NOW)
    assert [entry.record.attempt for entry in found.entries] == [1, 2]
    assert [entry.wait for entry in found.entries] == [None, 10.0]
    assert (found.end, found.next_at) == ("waiting", rfc3339(NOW + 30))
    assert not found.starts_late
    assert timeline([second], NOW + 60).end == "due"
    assert timeline([second], NOW).starts_late


@pytest.mark.parametrize(
    ("outcome", "end"),
    [
        (Followed.DELIVERED, "delivered"),
        (Followed.DEAD_LETTER, "dead_letter"),
        (Followed.OVERFLOW, "overflow"),
        (Followed.RETRY, "due"),
    ],
)
def test_the_last_record_says_how_a_delivery_ended(outcome: Followed, end: str) -> None:
    """Each outcome has its end; a retry without a known time is due."""
    assert timeline([attempt(NOW, "h", "e", 1, outcome=outcome)], NOW).end == end


def test_a_delivery_without_a_record_has_no_end() -> None:
    """Of a delivery that the log does not have nothing is claimed."""
    assert timeline([], NOW).end == "unknown"


@given(st.lists(st.floats(0, 60_000), min_size=5, max_size=5))
def test_phases_fill_the_bar(ends: list[float]) -> None:
    """Phases follow each other without a gap and add up to the whole attempt."""
    found = phases(Phases(*sorted(ends)))
    assert sum(phase.ms for phase in found) == pytest.approx(max(ends))
    if found:
        assert found[-1].x + found[-1].width == pytest.approx(PHASE_WIDTH, abs=0.3)


def test_a_connection_that_was_open_has_no_phase_of_its_own() -> None:
    """A phase that did not take place is not shown."""
    assert [phase.name for phase in phases(Phases(first_byte=5.0, all=6.0))] == [
        "first_byte",
        "rest",
    ]


def _many(number: int) -> Listing:
    data = PageData(FakeClock())
    for index in range(number):
        data.add_hook(
            {"id": f"h-{index:05}", "name": f"Hook {index}", "trigger": "event",
             "uri": "https://e.example/"},
            revision=1,
            state=HookState.ON if index % 2 else HookState.OFF,
        )  # fmt: skip
    return Listing(data.entries, [])


def test_the_list_of_hooks_comes_in_pages() -> None:
    """A page has its part of the hooks that match; a page behind the last one is the last."""
    listing = _many(2 * PAGE_SIZE + 1)
    first = hook_list(listing, Filter(), 1, None, NOW)
    assert ([first.rows[0].hook_id, len(first.rows)], first.pages) == (["h-00000", PAGE_SIZE], 3)
    last = hook_list(listing, Filter(), 99, None, NOW)
    assert (last.page, [row.hook_id for row in last.rows]) == (3, [f"h-{2 * PAGE_SIZE:05}"])
    off = hook_list(listing, Filter(state=HookState.OFF), 1, {}, NOW)
    assert (off.found, off.total) == (PAGE_SIZE + 1, 2 * PAGE_SIZE + 1)
    assert off.states[HookState.ON] == PAGE_SIZE


def test_the_day_of_a_hook_is_unknown_or_empty() -> None:
    """A hook that sent nothing shows noughts; while reports are not read it shows nothing."""
    listing = _many(1)
    assert hook_list(listing, Filter(), 1, None, NOW).rows[0].day is None
    day = hook_list(listing, Filter(), 1, {}, NOW).rows[0].day
    assert day is not None
    assert day.figures.delivered == 0


def test_replicas_say_what_they_make_of_a_hook() -> None:
    """Each replica's row has its own problem, circuit and learnt rate of the hook."""
    data = full(FakeClock())
    first, second = replica_rows(data.running, "store-visit")
    assert (first.has_newest, first.problem, first.circuit_open) == (True, "", True)
    assert not second.has_newest
    assert second.problem
    assert replica_rows(data.running, "click-analytics")[0].learned_rate == 42.5


def test_an_event_says_which_hooks_fire_and_what_stops_the_others() -> None:
    """Hooks are parted by what they make of the event; a text leaves those that have it."""
    data = full(FakeClock())
    hooks = [one.hook for one in data.entries if one.hook is not None]
    other, sale = data.recent["push_click"][:2]
    assert [one.hook_id for one in event_view(sale, hooks, None, user_data=False).firing] == [
        "click-analytics"
    ]
    view = event_view(other, hooks, "CLICK", user_data=False)
    assert [one.hook_id for one in view.stopped] == ["click-analytics"]
    assert view.reasons == {"select": 1}


def test_the_values_of_an_event_are_for_those_who_may_see_them() -> None:
    """Without the right to users' data there is no document of the event."""
    data = full(FakeClock())
    event = data.recent["push_click"][1]
    assert "İstanbul" in event_view(event, [], None, user_data=True).document
    assert event_view(event, [], None, user_data=False).document == ""


def test_the_list_of_events_names_the_hooks_that_the_explanation_says() -> None:
    """What is looked at by subject alone fires exactly as the whole explanation says."""
    data = full(FakeClock())
    hooks = [one.hook for one in data.entries if one.hook is not None]
    clicks = [one for one in hooks if one.trigger == "push_click"]
    for recent in data.recent["push_click"]:
        view = event_view(recent, clicks, None, user_data=False)
        named = HooksBySubject(clicks).firing(recent.event)
        assert named == [one.hook_id for one in view.firing]
        assert (view.row.fires, view.row.hooks) == (len(named), 1)
