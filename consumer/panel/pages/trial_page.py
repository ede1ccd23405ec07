"""What stands beside the form of a hook: events to choose from, the sample request, the effect of
the change, and a test send. Each is a part of the form's page, and with script a fragment.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

from consumer.delivery.http.origins import RequestValue
from consumer.errors import ConfigError, HookstreamError
from consumer.events.model import Event
from consumer.events.triggers import TRIGGERS, Trigger
from consumer.hooks.table import Hook
from consumer.journal.records import Phases
from consumer.panel.pages.data import Data, Recent
from consumer.panel.pages.delivery_page import PHASE_WIDTH, Phase, phases
from consumer.panel.pages.form_fields import HookForm, parse_form
from consumer.panel.pages.kept_secrets import with_kept
from consumer.panel.pages.recent_window import RecentWindow
from consumer.panel.pages.sealed_texts import shortened
from consumer.panel.pages.trial import (
    CHOICES,
    ChangeEffect,
    SampleView,
    Suggestions,
    change_effect,
    choose_event,
    close_names,
    sample_view,
    suggestions,
    test_definition,
    trial_definition,
)
from consumer.panel.pages.visit import PageRoute, Result, Shown, Visit
from consumer.panel.problems import FieldProblem, of_diagnostics
from consumer.services.event_input import as_test
from consumer.services.events import RecentEvent
from consumer.services.hook_reader import NotFoundError
from consumer.services.samples import Sample
from consumer.services.test_sends import TEST_SECONDS, TestReport

FORM: Final = "hook_form.html"
GLANCE_SECONDS: Final = 0.1
"""How long the page of the form waits for recent events: with script they follow."""
PREFIX: Final = "/trial"
PARTS: Final = ("events", "sample", "change", "test")
"""What is asked for by itself; in the form each but the first has a button, `try-NAME`."""
_SUBJECT: Final = "add-subject"


class Trials(Protocol):
    """What a trial asks the services for. Each call raises `HookstreamError`."""

    def check(self, definition: object) -> Hook:
        """The hook of a definition. Raises `ConfigError` with its problems."""
        ...

    def event(self, text: str, trigger: Trigger) -> Event:
        """The event that a person wrote as JSON, with an id of its own."""
        ...

    def curl(self, hook: Hook, event: Event | None) -> str:
        """The request as a command without secrets; without an event with placeholders. Raises
        `NoRequestError` if the event makes none.
        """
        ...

    def request(self, hook: Hook, event: Event, at: float) -> Sample:
        """The request of an event as it was sent at `at` (epoch seconds), without secrets."""
        ...

    async def send(
        self, definition: Mapping[str, Any], event: Event, secrets: Sequence[str]
    ) -> TestReport:
        """Send a test; `secrets`: texts of the definition that are not shown."""
        ...


@dataclass(frozen=True, slots=True)
class TestView:
    """What became of a test send."""

    report: TestReport
    request: str
    """What was sent, without secrets: the method with the URL, and header lines."""
    phases: Sequence[Phase]
    milliseconds: float


@dataclass(frozen=True, slots=True)
class Trial:
    """What the page shows. Of what was not asked for there is nothing."""

    trigger: str
    events: Sequence[RecentEvent] = ()
    """To choose from, the newest first."""
    count: int = 0
    """Events that are known."""
    note: str | None = None
    """Why there are no events: `unread`, `away`, `no_source` or `none`."""
    ref: str = ""
    """The record of the event that was chosen; empty: the newest for which the hook fires."""
    used: RecentEvent | None = None
    """The event that is used; None: there is none, or one that a person wrote."""
    own: str = ""
    """The event that a person wrote, as JSON."""
    suggestions: Suggestions = field(default_factory=lambda: Suggestions((), {}))
    selected: frozenset[str] = frozenset()
    """Subjects that the form selects already."""
    problems: Sequence[FieldProblem] = ()
    """Why there is no request yet."""
    problem: str = ""
    """Likewise: a sentence."""
    asked: str = ""
    """The part that was asked for."""
    sample: SampleView | None = None
    effect: ChangeEffect | None = None
    test: TestView | None = None

    def close_names(self, value: RequestValue) -> Sequence[str]:
        """The names of recent events that are close to one in which no value was found."""
        return close_names(value, self.suggestions.names)


class TrialPart:
    """Beside the form of a hook; for editors, as the form is."""

    def __init__(self, data: Data, trials: Trials, recent: RecentWindow) -> None:
        self._data = data
        self._trials = trials
        self._recent = recent

    def routes(self) -> list[PageRoute]:
        """The routes of the fragments, to which the whole form is posted."""
        return [self._route(part) for part in PARTS]

    def _route(self, part: str) -> PageRoute:
        async def answer(visit: Visit) -> Result:
            trial = await self._trial(visit, {part}, None)
            return Shown(f"trial_{part}.html", {"trial": trial, "phase_width": PHASE_WIDTH})

        return PageRoute(
            "POST", f"{PREFIX}/{part}", answer, "hooks", "editor",
            seconds=TEST_SECONDS, is_long=True, ends_with_client=True,
        )  # fmt: skip

    def beside(self, route: PageRoute) -> PageRoute:
        """The route of a page with the form, which shows this beside it."""

        async def answer(visit: Visit) -> Result:
            visit = _with_subject(visit)
            shown = await route.handler(visit)
            if not isinstance(shown, Shown) or shown.template != FORM:
                return shown
            parts = {part for part in PARTS if f"try-{part}" in visit.form}
            is_confidential = shown.is_confidential or bool(parts)
            form = shown.values["form"] if not visit.form else None
            trial = await self._trial(visit, parts, form, GLANCE_SECONDS)
            values = {**shown.values, "trial": trial, "phase_width": PHASE_WIDTH}
            return replace(shown, values=values, is_confidential=is_confidential)

        return replace(route, handler=answer, seconds=TEST_SECONDS)

    async def _trial(
        self,
        visit: Visit,
        parts: set[str],
        form: HookForm | None,
        seconds: float | None = None,
    ) -> Trial:
        """What is asked for, of the form that was posted unless there is `form`."""
        form = form if form is not None else parse_form(visit.form)
        if (hook_id := visit.parameters.get("hook")) is not None:
            form = replace(form, id=hook_id)
        trigger = next((one for one in TRIGGERS if one == form.trigger), None)
        own = visit.form.get("try.event", "").strip()
        selected = frozenset(form.select.split("\n"))
        trial = Trial(form.trigger, own=own, selected=selected, asked=next(iter(parts), ""))
        if trigger is None:
            return replace(trial, note="no_trigger")
        trial, recent = await self._with_events(trial, trigger, None if parts else seconds)
        hook, problems = self._checked(form)
        ref = visit.form.get("try.ref", "")
        used = choose_event(recent.events, ref, hook) if not own else None
        is_there = used is not None and used.record_ref == ref
        trial = replace(trial, ref=ref if is_there else "", used=used, problems=problems)
        if hook is None or not parts:
            return trial
        try:
            event = used.event if used is not None else None
            if own:
                event = self._trials.event(own, trigger)
            if "sample" in parts:
                trial = replace(trial, sample=self._sample(hook, event))
            if "change" in parts:
                old = await self._old(visit, form)
                trial = replace(trial, effect=change_effect(recent.events, hook, old))
            if "test" in parts:
                trial = await self._tested(trial, form, hook, event)
        except HookstreamError as error:
            return replace(trial, problem=str(error))
        return trial

    async def _with_events(
        self, trial: Trial, trigger: Trigger, seconds: float | None
    ) -> tuple[Trial, Recent]:
        nothing = Recent([], 0, "", [])
        try:
            recent = await self._recent.get(trigger, seconds)
        except HookstreamError:
            return replace(trial, note="away"), nothing
        if recent is None:
            return replace(trial, note="unread"), nothing
        if not recent.events:
            return replace(trial, note="none" if recent.topics else "no_source"), recent
        found = replace(
            trial,
            events=recent.events[:CHOICES],
            count=len(recent.events),
            suggestions=suggestions(recent.events),
        )
        return found, recent

    def _checked(self, form: HookForm) -> tuple[Hook | None, Sequence[FieldProblem]]:
        try:
            return self._trials.check(trial_definition(form)), ()
        except ConfigError as error:
            return None, of_diagnostics(error.diagnostics)

    def _sample(self, hook: Hook, event: Event | None) -> SampleView:
        if event is None:
            curl = shortened(self._trials.curl(hook, None))
            return SampleView(curl, "", None, "", ())
        try:
            curl, why_none = shortened(self._trials.curl(hook, event)), ""
        except HookstreamError as error:
            curl, why_none = "", str(error)
        return sample_view(hook, event, curl, why_none)

    async def _old(self, visit: Visit, form: HookForm) -> Hook | None:
        """The hook that is in force; None: the form makes a new one."""
        if not visit.form.get("seen", "0").strip("0"):
            return None
        try:
            return (await self._data.hook(form.id)).hook
        except NotFoundError:
            return None

    async def _with_kept(self, form: HookForm) -> HookForm:
        """The form with the signing secrets that it has marks for."""
        if not form.has_kept:
            return form
        form, gone = with_kept(form, (await self._data.hook(form.id)).definition)
        if gone:
            raise HookstreamError("a signing secret is another one by now: load the form again")
        return form

    async def _tested(self, trial: Trial, form: HookForm, hook: Hook, event: Event | None) -> Trial:
        """The trial with a test send; `hook`: the form's, with nothing of the secrets in it."""
        if event is None:
            return replace(trial, problem="there is no event to send: write one")
        definition, typed = test_definition(await self._with_kept(form))
        event = as_test(event)
        report = await self._trials.send(definition, event, typed)
        sent = self._trials.request(hook, event, report.sent.at)
        request = shortened("\n".join([f"GET {sent.url}", *sent.headers]))
        result = report.sent.result
        whole = result.duration * 1000
        dns, connect, tls, first = (one / 1000 for one in result.phases or (0, 0, 0, 0))
        view = TestView(report, request, phases(Phases(dns, connect, tls, first, whole)), whole)
        return replace(trial, test=view)


def _with_subject(visit: Visit) -> Visit:
    """The visit with the subject selected that a button names."""
    subject = visit.form.get(_SUBJECT)
    if subject is None:
        return visit
    form = {name: text for name, text in visit.form.items() if name != _SUBJECT}
    return replace(visit, form={**form, "select": f"{form.get('select', '')}\n{subject}"})
