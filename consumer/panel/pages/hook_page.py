"""One hook: its definition, its state, and what it did lately."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from consumer.control.difference import FieldChange
from consumer.control.plain_secrets import shown_difference
from consumer.control.records import AuditRecord
from consumer.errors import HookstreamError
from consumer.journal.log_search import FoundDelivery, SearchEnd
from consumer.panel.pages.choices import number
from consumer.panel.pages.compose_page import preview
from consumer.panel.pages.data import GLANCE_SECONDS, SEARCH_SECONDS, Data
from consumer.panel.pages.day_reports import DayReports, LastDay
from consumer.panel.pages.definition_view import definition_view
from consumer.panel.pages.figures import Day, no_day
from consumer.panel.pages.hook_actions import MAX_REVISION, done_action, in_force
from consumer.panel.pages.hook_doing import doing, last_answer
from consumer.panel.pages.hooks_page import text_of
from consumer.panel.pages.visit import PageRoute, Result, Shown, Visit
from consumer.services.catalogue import HookEntry
from consumer.services.deliveries import DeliveryPage
from consumer.services.hook_reader import HookChanges, NotFoundError
from consumer.services.replicas import Replica

REVISIONS: Final = 10
DELIVERIES: Final = 10
LOOKED_AT: Final = 200
"""Of the newest entries of the log: the last attempt may be behind many without one."""
FIRST_DELIVERY_SECONDS: Final = 8.0
"""How long a page waits for the first delivery of a hook that was just saved."""
_POLL_SECONDS: Final = 0.5
_QUERY: Final = frozenset({"before", "done"})


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a definition."""

    offset: int | None
    """In the audit topic; None: not known."""
    hook_id: str
    revision: int
    action: str
    at: str
    by: str
    comment: str
    fields: Sequence[FieldChange]
    is_new: bool
    """Whether there was no definition before."""
    restorable: bool
    """Whether it can be brought back: it is no deletion, and not in force."""


@dataclass(frozen=True, slots=True)
class ReplicaRow:
    """What one replica makes of a hook. Of its lists a status names some dozens at most."""

    replica: str
    has_newest: bool
    """Whether the newest definitions are in force there."""
    problem: str
    circuit_open: bool
    disabled: bool
    learned_rate: float | None
    """Requests a second."""


def change_view(
    change: AuditRecord, offset: int | None = None, newest: int | None = None
) -> Change:
    """What is shown of a change; `newest`: the hook's revision, None if it has none."""
    return Change(
        offset,
        change.hook,
        change.revision,
        change.action,
        change.at,
        change.by,
        change.comment,
        shown_difference(change.before, change.after),
        change.before is None,
        change.after is not None and change.revision != newest,
    )


def replica_rows(replicas: Iterable[Replica], hook_id: str) -> list[ReplicaRow]:
    """What each replica makes of a hook."""
    return [_replica_row(replica, hook_id) for replica in replicas]


def _replica_row(replica: Replica, hook_id: str) -> ReplicaRow:
    status = replica.status
    return ReplicaRow(
        status.replica,
        replica.is_current,
        next((one.message for one in status.problems if one.hook == hook_id), ""),
        hook_id in status.open_circuits,
        hook_id in status.disabled_hooks,
        status.learned_rates.get(hook_id),
    )


class HookPage:
    """`/hooks/{hook}`. The page takes a short look at the log and at the audit. Parts come after
    it: `last` waits for the first delivery of a hook that was just saved, and `further` looks at
    more of the log.
    """

    def __init__(
        self, data: Data, day: DayReports, *, live: bool, seconds: float = FIRST_DELIVERY_SECONDS
    ) -> None:
        """`live`: whether definitions may be in the topic; `seconds`: that `last` waits."""
        self._data = data
        self._day = day
        self._live = live
        self._seconds = seconds

    def routes(self) -> list[PageRoute]:
        """The routes of this page."""
        return [
            PageRoute("GET", "/hooks/{hook}", self.show, "hooks", query=_QUERY),
            PageRoute("GET", "/hooks/{hook}/last", self.wait, "hooks", ends_with_client=True),
            PageRoute("GET", "/hooks/{hook}/further", self.search, "hooks", ends_with_client=True),
        ]

    async def show(self, visit: Visit) -> Result:
        """One hook."""
        hook_id = visit.parameters["hook"]
        before = number(visit.query, "before", MAX_REVISION, MAX_REVISION)
        done = done_action(visit.query)
        entry, changes, replicas, last, day = await asyncio.gather(
            self._entry(hook_id),
            self._changes(hook_id, None if "before" in visit.query else GLANCE_SECONDS),
            self._replicas(),
            self._deliveries(hook_id),
            self._day.get(),
        )
        revision = entry.revision if entry is not None else None
        own_day = _day_of(day, hook_id, visit.now)
        answered = last_answer(last.deliveries, visit.now) if last is not None else None
        records = changes.records if changes is not None else []
        older = [one for one in records if one.revision < before]
        return Shown(
            "hook.html",
            {
                "hook_id": hook_id,
                "entry": entry,
                "owner": text_of(entry, "owner") if entry is not None else "",
                "definition": definition_view(entry.definition)
                if entry is not None and entry.definition is not None
                else None,
                "curl": self._data.curl(entry.hook)
                if entry is not None and entry.hook is not None
                else "",
                "asked": preview(entry.hook)
                if entry is not None and entry.hook is not None
                else None,
                "day": own_day,
                "doing": doing(own_day, answered, visit.now),
                "last_answer": answered,
                "replicas": None if replicas is None else replica_rows(replicas, hook_id),
                "changes": None
                if changes is None
                else [change_view(one, newest=revision) for one in older[:REVISIONS]],
                "next_before": _next_before(older, before, changes),
                "is_cut": changes is not None and changes.is_cut,
                "deliveries": _newest(last),
                "is_short": _is_short(last),
                "done": done,
                "in_force": in_force(replicas, hook_id) if done and replicas is not None else None,
                "can_write": self._live and visit.identity.may("editor"),
                "can_act": self._live
                and visit.identity.may("operator")
                and (entry is None or entry.source == "live"),
            },
        )

    async def wait(self, visit: Visit) -> Result:
        """A part of a page: the last deliveries, once there is one, or after so many seconds."""
        hook_id = visit.parameters["hook"]
        found = await self._deliveries(hook_id)
        try:
            async with asyncio.timeout(self._seconds):
                while found is not None and not found.deliveries:
                    await asyncio.sleep(_POLL_SECONDS)
                    found = await self._deliveries(hook_id)
        except TimeoutError:
            pass
        return Shown("hook_last.html", {"hook_id": hook_id, "deliveries": _newest(found)})

    async def search(self, visit: Visit) -> Result:
        """A part of a page: the last deliveries, by a longer search."""
        hook_id = visit.parameters["hook"]
        found = await self._deliveries(hook_id, DELIVERIES, SEARCH_SECONDS)
        return Shown("hook_last.html", {"hook_id": hook_id, "deliveries": _newest(found)})

    async def _entry(self, hook_id: str) -> HookEntry | None:
        """The hook; None: it was deleted, and has a history."""
        try:
            return await self._data.hook(hook_id)
        except NotFoundError:
            if (await self._data.changes(hook_id)).records:
                return None
            raise

    async def _changes(self, hook_id: str, seconds: float | None) -> HookChanges | None:
        """Its changes; None: they cannot be read, which is no reason to show nothing."""
        try:
            return await self._data.changes(hook_id, seconds)
        except NotFoundError:
            raise
        except HookstreamError:
            return None

    async def _replicas(self) -> Sequence[Replica] | None:
        """The replicas that run; None: they cannot be read."""
        try:
            return await self._data.replicas()
        except HookstreamError:
            return None

    async def _deliveries(
        self, hook_id: str, limit: int = LOOKED_AT, seconds: float = GLANCE_SECONDS
    ) -> DeliveryPage | None:
        """The last deliveries; None: the log cannot be read, which is no reason to show nothing."""
        try:
            wanted = self._data.delivery_filter({"hook": hook_id})
            return await self._data.deliveries(wanted, limit, seconds=seconds)
        except HookstreamError:
            return None


def _newest(found: DeliveryPage | None) -> Sequence[FoundDelivery] | None:
    return None if found is None else found.deliveries[:DELIVERIES]


def _is_short(found: DeliveryPage | None) -> bool:
    """Whether a longer search may find more deliveries for the page."""
    return (
        found is not None
        and found.horizon.end is SearchEnd.BOUND
        and len(found.deliveries) < DELIVERIES
    )


def _next_before(
    older: Sequence[AuditRecord], before: int, changes: HookChanges | None
) -> int | None:
    """The revision before which the history goes on; None: it is all there."""
    if len(older) > REVISIONS:
        return older[REVISIONS - 1].revision
    if changes is None or not changes.is_cut:
        return None
    return older[-1].revision if older else before


def _day_of(day: LastDay | None, hook_id: str, now: float) -> Day | None:
    return None if day is None else day.days.get(hook_id) or no_day(now)
