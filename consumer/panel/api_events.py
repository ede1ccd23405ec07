"""The API's routes about events: what hooks make of them, and what they hold."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import cast, get_args

from consumer.clock import Clock
from consumer.events.triggers import Trigger
from consumer.hooks.table import Hook
from consumer.panel import event_models as models
from consumer.panel.api_requests import checked_hook, parse_event
from consumer.panel.inputs import event_bytes
from consumer.panel.problems import Problem, invalid_field
from consumer.panel.routes import Answer, Call, Route
from consumer.services.broker_watch import Require
from consumer.services.compose import compose_form
from consumer.services.event_input import guess_trigger
from consumer.services.event_names import NameCount
from consumer.services.events import recent_names, replay_recent
from consumer.services.explained import ExplainedHook, explain_hook, value_facts
from consumer.services.hook_reader import NotFoundError
from consumer.services.hooks import HookService
from consumer.services.replay import ReplayOutcome
from consumer.settings import Settings


class EventsApi:
    """Handlers about events."""

    def __init__(
        self, settings: Settings, hooks: HookService, require: Require, clock: Clock
    ) -> None:
        self._settings = settings
        self._hooks = hooks
        self._require = require
        self._clock = clock

    def routes(self) -> list[Route]:
        """The routes of these handlers."""
        return [
            Route(
                "POST", "/explain", "viewer", "Say for each hook whether it fires for an event",
                {HTTPStatus.OK: models.Explained}, self.explain, (HTTPStatus.NOT_FOUND,),
                body=models.ExplainBody,
            ),
            # Whoever tries conditions on events learns what users' attributes are.
            Route(
                "POST", "/hooks:replay-recent", "editor", "Try a definition on recent events",
                {HTTPStatus.OK: models.ReplayedRecent}, self.replay_recent,
                (HTTPStatus.NOT_FOUND,), body=models.ReplayRecentBody,
            ),
            Route(
                "GET", "/triggers/{trigger}/recent", "viewer",
                "List what recent events hold; examples of values for editors",
                {HTTPStatus.OK: models.Recent}, self.recent, (HTTPStatus.NOT_FOUND,),
                query=models.RecentQuery,
            ),
            Route(
                "GET", "/compose", "viewer", "The form that a notification is composed with",
                {HTTPStatus.OK: models.ComposeForm}, self.compose, query=models.ComposeQuery,
            ),
        ]  # fmt: skip

    async def explain(self, call: Call) -> Answer:
        """What hooks make of an event."""
        wanted: models.ExplainBody = call.body
        trigger = wanted.trigger or guess_trigger(event_bytes(wanted.event), self._settings)
        if trigger is None:
            raise invalid_field(
                "trigger", "is missing, and the event's fields do not tell", "name the trigger"
            )
        event = parse_event(wanted.event, trigger, self._settings, self._clock)
        hooks, refused = await self._wanted_hooks(wanted.hook)
        found = sorted(
            (explain_hook(hook, event) for hook in hooks),
            key=lambda one: (one.explanation.stop is not None, one.explanation.hook_id),
        )
        return Answer(
            models.Explained(
                event=event.id, trigger=trigger, hooks=list(map(_explanation, found)),
                refused=refused,
            )
        )  # fmt: skip

    async def replay_recent(self, call: Call) -> Answer:
        """A definition against the last events of its trigger."""
        wanted: models.ReplayRecentBody = call.body
        hook = await checked_hook(self._hooks, wanted)
        self._require_source(hook.trigger)
        await self._require()
        found = await replay_recent(self._settings, hook, wanted.count, self._clock)
        return Answer(
            models.ReplayedRecent(
                events=found.events,
                undecodable=found.undecodable,
                stopped_by=found.stopped_by or None,
                outcomes=list(map(_outcome, found.outcomes)),
            )
        )

    async def recent(self, call: Call) -> Answer:
        """What the last events of a trigger hold."""
        name = call.path["trigger"]
        if name not in get_args(Trigger):
            raise Problem(HTTPStatus.NOT_FOUND, "not-found", f"there is no trigger {name}")
        trigger, query = cast("Trigger", name), cast("models.RecentQuery", call.query)
        self._require_source(trigger)
        values = call.who.may("editor")
        await self._require()
        found = await recent_names(self._settings, trigger, query.count, self._clock, values=values)
        names = found.names
        return Answer(
            models.Recent(
                events=names.events,
                undecodable=found.undecodable,
                stopped_by=found.stopped_by or None,
                subjects=_names(names.subjects, values=values),
                apps=_names(names.apps, values=values),
                parts={part: _names(its, values=values) for part, its in names.parts.items()},
                left_out=names.left_out,
            )
        )

    async def compose(self, call: Call) -> Answer:
        """The form that a notification is composed with."""
        query: models.ComposeQuery = call.query
        hooks, _ = await self._wanted_hooks(None)
        return Answer(compose_form(hooks, query.trigger, query.subject))

    async def _wanted_hooks(self, hook_id: str | None) -> tuple[list[Hook], list[str]]:
        """The hooks, and the ids of those that are refused."""
        reader = self._hooks.reader
        entries = (
            [await reader.get(hook_id)] if hook_id is not None else (await reader.listing()).entries
        )
        refused = [one.hook_id for one in entries if one.hook is None]
        return [one.hook for one in entries if one.hook is not None], refused

    def _require_source(self, trigger: Trigger) -> None:
        if not any(source.trigger == trigger for source in self._settings.sources):
            raise NotFoundError(f"no source has the trigger {trigger}")


def _explanation(found: ExplainedHook) -> models.HookExplanation:
    stop = found.explanation.stop
    return models.HookExplanation(
        hook=found.explanation.hook_id,
        fires=stop is None,
        stop=stop,
        detail=found.explanation.detail,
        condition=found.explanation.condition or None,
        value=found.explanation.value,
        rejection=found.rejection or None,
        values=[models.ValueOrigin(**value_facts(value, user_data=True)) for value in found.values],
    )


def _outcome(found: ReplayOutcome) -> models.OutcomeCount:
    return models.OutcomeCount(
        result=found.result,
        why=found.why,
        condition=found.condition or None,
        count=found.count,
        examples=[
            models.OutcomeExample(event=one.event_id, record=one.record_ref, detail=one.detail)
            for one in found.examples
        ],
    )


def _names(counts: Iterable[NameCount], *, values: bool) -> list[models.NameItem]:
    return [
        models.NameItem(
            name=one.name, count=one.count, examples=list(one.examples) if values else None
        )
        for one in counts
    ]
