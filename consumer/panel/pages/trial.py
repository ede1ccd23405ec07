"""What a definition under way makes of recent events: its request, and its effect; it is pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any, Final

from consumer.delivery.http.origins import Origin, RequestValue, request_values
from consumer.events.model import Event
from consumer.hooks.table import Hook
from consumer.matching.explain import explain
from consumer.panel.pages.form_fields import HookForm, SecretRow
from consumer.panel.pages.form_steps import brace_names, in_plain, with_braces
from consumer.panel.pages.hook_form import definition_of
from consumer.services.checker import PLACEHOLDER
from consumer.services.event_names import EventNames, NameTally
from consumer.services.events import RecentEvent
from consumer.services.replay import EventOutcome, ReplayOutcome, ReplayTally, Result, outcome

TRIED: Final = 200
"""The last events of a trigger on which a change is tried."""
LISTED: Final = 10
"""Events of each kind that are listed."""
CHOICES: Final = 20
"""Events to choose from for the sample."""
MAX_NAMES: Final = 100
"""Names and subjects that a field suggests."""
NEW_ID: Final = "new-hook"
"""Stands for the id of a hook that has none yet."""
HIDDEN: Final = "<secret>"
"""Stands for a secret that was typed."""
TRIAL_FIELDS: Final = ("try.ref", "try.event")
"""Fields beside those of the hook: the record of the chosen event, and an event as JSON."""
_PARTS: Final = {"profile": "user.attributes", "device": "device.attributes"}


@dataclass(frozen=True, slots=True)
class SampleView:
    """The request of a definition for one event."""

    curl: str
    """Empty: there is none."""
    why_none: str
    """Why no request can be made; empty: one can."""
    stop: str | None
    """What stops the hook for the event (`Stop`); None: it fires, or there is no event."""
    detail: str
    values: Sequence[RequestValue]


@dataclass(frozen=True, slots=True)
class Moved:
    """An event that a change makes fire, or fire no more."""

    record_ref: str
    event_id: str
    subject: str
    occurred_at: float
    """Epoch seconds."""
    found: EventOutcome
    """With the change."""


@dataclass(frozen=True, slots=True)
class ChangeEffect:
    """What a change does on recent events."""

    events: int
    fires: int
    fired: int | None
    """Before the change; None: the hook is new."""
    others: Sequence[ReplayOutcome]
    """What stops or rejects the others, the most frequent first."""
    newly: Sequence[Moved]
    more_newly: int
    no_longer: Sequence[Moved]
    more_no_longer: int


@dataclass(frozen=True, slots=True)
class Suggestions:
    """What recent events hold, for fields to choose from, the most frequent first."""

    subjects: Sequence[tuple[str, int]]
    """With the number of events."""
    names: Mapping[str, Sequence[str]]
    """By value source (`profile`, `device`, `event`), as a value of that source is written."""


def trial_definition(form: HookForm) -> dict[str, Any]:
    """The definition of a form that is not finished, for a look at its request: secrets that are
    not sealed are replaced.
    """
    form = _finished(form)
    form = replace(
        form,
        headers=tuple(_hidden(row, HIDDEN) for row in form.headers),
        parameters=tuple(_hidden(row, HIDDEN) for row in form.parameters),
        signing_secrets=tuple(_hidden(row, PLACEHOLDER) for row in form.signing_secrets),
    )
    return definition_of(form).definition


def test_definition(form: HookForm) -> tuple[dict[str, Any], list[str]]:
    """The definition that a test of a form sends, and the secrets in it that are not sealed."""
    rows = (*form.headers, *form.parameters, *form.signing_secrets)
    unsealed = [row.value if row.is_unsealed else row.plain for row in rows]
    return definition_of(in_plain(_finished(form))).definition, list(filter(None, unsealed))


def _finished(form: HookForm) -> HookForm:
    """The form with what a person has not come to yet, and without labels whose brace is gone."""
    form, names = with_braces(form), brace_names(form.uri)
    labels = tuple(
        replace(row, label=row.label or row.name) for row in form.labels if row.name in names
    )
    return replace(form, id=form.id or NEW_ID, labels=labels)


def choose_event(
    events: Sequence[RecentEvent], record_ref: str | None, hook: Hook | None
) -> RecentEvent | None:
    """The event that is meant; else the newest for which the hook fires, else the newest."""
    chosen = next((one for one in events if one.record_ref == record_ref), None)
    if chosen is None and hook is not None:
        chosen = next((one for one in events if explain(hook, one.event).stop is None), None)
    return chosen or (events[0] if events else None)


def sample_view(hook: Hook, event: Event, curl: str, why_none: str) -> SampleView:
    """The request for an event, also if the hook is stopped: what it would send says why it should
    not. `curl` is empty if there is no request, for which `why_none` stands.
    """
    found = explain(replace(hook, enabled=True), event)
    return SampleView(curl, why_none, found.stop, found.detail, request_values(hook, event))


def change_effect(events: Sequence[RecentEvent], new: Hook, old: Hook | None) -> ChangeEffect:
    """What becomes of events, the newest first, with `new` in place of `old`."""
    tally, newly, no_longer, fired = ReplayTally(new), list[Moved](), list[Moved](), 0
    for one in events:
        now = tally.take(one.event, one.record_ref)
        before = old is not None and outcome(old, one.event).result is Result.FIRES
        fired += before
        if (now.result is Result.FIRES) is not before:
            (no_longer if before else newly).append(_moved(one, now))
    outcomes = tally.outcomes()
    return ChangeEffect(
        tally.events,
        sum(one.count for one in outcomes if one.result is Result.FIRES),
        fired if old is not None else None,
        [one for one in outcomes if one.result is not Result.FIRES],
        newly[:LISTED],
        max(0, len(newly) - LISTED),
        no_longer[:LISTED],
        max(0, len(no_longer) - LISTED),
    )


def suggestions(events: Sequence[RecentEvent]) -> Suggestions:
    """What the fields of a form may suggest; names only, and no values of users."""
    tally = NameTally(values=False)
    for one in events:
        tally.take(one.event)
    found: EventNames = tally.names()
    names = {
        source: ["id"] * (source == "profile") + [one.name for one in found.parts[part]]
        for source, part in _PARTS.items()
    }
    names["event"] = [f"data.{one.name}" for one in found.parts["data"]]
    return Suggestions(
        [(one.name, one.count) for one in found.subjects[:MAX_NAMES]],
        {source: its[:MAX_NAMES] for source, its in names.items()},
    )


def close_names(value: RequestValue, names: Mapping[str, Sequence[str]]) -> Sequence[str]:
    """The names that recent events have and that are close to one in which no value was found."""
    if value.origin is not Origin.NOWHERE:
        return ()
    wanted = (text.partition(" ") for text in value.looked_at)
    close = (get_close_matches(name, names.get(source, ()), n=1) for source, _, name in wanted)
    return [one for found in close for one in found if one != value.reference]


def _moved(one: RecentEvent, found: EventOutcome) -> Moved:
    event = one.event
    return Moved(one.record_ref, event.id, event.subject or "", event.occurred_at, found)


def _hidden(row: Any, text: str) -> Any:
    """A row without the secret that was typed, or that its mark stands for."""
    assert isinstance(row, SecretRow)  # noqa: S101  # of a form's lists
    if not (row.is_unsealed or row.kept):
        return row
    return replace(row, value="", sealed="", kept="", plain=text)
