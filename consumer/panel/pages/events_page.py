"""Recent events of a trigger, and why each hook did or did not fire for one."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from consumer.delivery.http.request import delivery_id
from consumer.events.model import Event
from consumer.events.triggers import TRIGGERS, Trigger
from consumer.hooks.table import Hook
from consumer.matching.explain import explain
from consumer.panel.pages.choices import choice
from consumer.panel.pages.data import Data, Recent
from consumer.panel.pages.visit import PageRoute, Result, Shown, Visit
from consumer.services.events import RecentEvent
from consumer.services.explained import ExplainedHook, explain_hook

PATH: Final = "/events"
EVENT_PATH: Final = "/event"
LISTED: Final = 20
SHOWN_FIRING: Final = 50
SHOWN_STOPPED: Final = 50
"""Hooks of each kind that are listed; the filter finds the others."""
_FIRING_NAMES: Final = 5


@dataclass(frozen=True, slots=True)
class EventRow:
    """One event of the list."""

    record_ref: str
    """`topic/partition/offset`."""
    event_id: str
    subject: str
    app: str
    occurred_at: float
    """Epoch seconds."""
    fires: int
    firing: Sequence[str]
    """The first of the hooks that fire."""
    hooks: int
    """Hooks of the trigger."""


@dataclass(frozen=True, slots=True)
class HookOutcome:
    """What one hook makes of an event."""

    hook_id: str
    name: str
    explained: ExplainedHook
    delivery: str
    """The id that its delivery has."""


@dataclass(frozen=True, slots=True)
class EventView:
    """One event, and what each hook makes of it."""

    row: EventRow
    firing: Sequence[HookOutcome]
    stopped: Sequence[HookOutcome]
    more_firing: int
    more_stopped: int
    reasons: Mapping[str, int]
    """How many hooks are stopped by what."""
    document: str
    """The event as JSON; empty for those who may not see users' data."""


class HooksBySubject:
    """The hooks of a trigger by what they select: of thousands few can fire for one event."""

    def __init__(self, hooks: Sequence[Hook]) -> None:
        self.count = len(hooks)
        self._every = [hook for hook in hooks if hook.select is None]
        self._selecting: dict[str, list[Hook]] = {}
        for hook in hooks:
            for subject in hook.select or ():
                self._selecting.setdefault(subject, []).append(hook)

    def firing(self, event: Event) -> list[str]:
        """The ids of those that fire, in order."""
        selecting = self._selecting.get(event.subject, []) if event.subject is not None else []
        candidates = [*self._every, *selecting]
        return sorted(hook.id for hook in candidates if explain(hook, event).stop is None)


def event_row(recent: RecentEvent, hooks: HooksBySubject) -> EventRow:
    """An event of the list, with the hooks of its trigger."""
    event = recent.event
    firing = hooks.firing(event)
    return EventRow(
        recent.record_ref,
        event.id,
        event.subject or "",
        event.app or "",
        event.occurred_at,
        len(firing),
        firing[:_FIRING_NAMES],
        hooks.count,
    )


def event_view(
    recent: RecentEvent, hooks: Sequence[Hook], text: str | None, *, user_data: bool
) -> EventView:
    """What the hooks whose id or name has `text` make of an event."""
    wanted = text.casefold() if text is not None else ""
    chosen = [one for one in hooks if wanted in one.id or wanted in one.name.casefold()]
    firing, stopped, reasons = list[Hook](), list[Hook](), Counter[str]()
    for hook in chosen:
        stop = explain(hook, recent.event).stop
        (firing if stop is None else stopped).append(hook)
        if stop is not None:
            reasons[str(stop)] += 1
    return EventView(
        event_row(recent, HooksBySubject(hooks)),
        _outcomes(firing[:SHOWN_FIRING], recent.event),
        _outcomes(stopped[:SHOWN_STOPPED], recent.event),
        max(0, len(firing) - SHOWN_FIRING),
        max(0, len(stopped) - SHOWN_STOPPED),
        dict(reasons.most_common()),
        _document(recent.event) if user_data else "",
    )


def _rows(events: Sequence[RecentEvent], hooks: Sequence[Hook]) -> list[EventRow]:
    by_subject = HooksBySubject(hooks)
    return [event_row(one, by_subject) for one in events]


def _outcomes(hooks: Iterable[Hook], event: Event) -> list[HookOutcome]:
    return [
        HookOutcome(hook.id, hook.name, explain_hook(hook, event), delivery_id(event.id, hook.id))
        for hook in hooks
    ]


def _document(event: Event) -> str:
    """The event as JSON, numbers of any length with their digits."""
    return orjson.dumps(event.document, default=str, option=orjson.OPT_INDENT_2).decode()


class EventsPage:
    """`/events` and `/event`."""

    def __init__(self, data: Data) -> None:
        self._data = data

    def routes(self) -> list[PageRoute]:
        """The routes of these pages."""
        return [
            PageRoute("GET", PATH, self.show, "events", query=frozenset({"trigger"})),
            PageRoute(
                "GET", EVENT_PATH, self.one, "events", query=frozenset({"trigger", "ref", "q"})
            ),
        ]

    async def show(self, visit: Visit) -> Result:
        """The last events of a trigger."""
        trigger = self._trigger(visit)
        recent, hooks = await asyncio.gather(
            self._data.events(trigger, LISTED), self._hooks(trigger)
        )
        rows = await asyncio.to_thread(_rows, recent.events, hooks)
        return Shown(
            "events.html",
            {
                "trigger": trigger,
                "triggers": tuple(TRIGGERS),
                "rows": rows,
                "hooks": len(hooks),
                **_facts(recent),
            },
        )

    async def one(self, visit: Visit) -> Result:
        """One event."""
        trigger = self._trigger(visit)
        ref, text = visit.query.get("ref", ""), visit.query.get("q")
        found, hooks = await asyncio.gather(self._data.event(trigger, ref), self._hooks(trigger))
        user_data = visit.identity.may("editor")
        view = None
        if found is not None:
            view = await asyncio.to_thread(
                lambda: event_view(found, hooks, text, user_data=user_data)
            )
        values: dict[str, Any] = {
            "trigger": trigger, "view": view, "query": visit.query, "user_data": user_data,
            "ref": ref,
        }  # fmt: skip
        return Shown("event.html", values)

    def _trigger(self, visit: Visit) -> Trigger:
        found: Trigger | None = choice(visit.query, "trigger", tuple(TRIGGERS))
        return found if found is not None else next(iter(TRIGGERS))

    async def _hooks(self, trigger: Trigger) -> list[Hook]:
        """The hooks of a trigger; one that is refused fires for nothing, and its page says why."""
        listing = await self._data.listing()
        found = (entry.hook for entry in listing.entries)
        return [hook for hook in found if hook is not None and hook.trigger == trigger]


def _facts(recent: Recent) -> dict[str, Any]:
    return {
        "undecodable": recent.undecodable,
        "stopped_by": recent.stopped_by,
        "topics": recent.topics,
    }
