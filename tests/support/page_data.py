"""An installation in memory for tests of the pages: the services' own results, without Kafka."""

from bisect import insort
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from math import inf
from typing import Any, Final

import orjson

from consumer.control.records import Action, AuditRecord, HookRecord
from consumer.control.status import HookProblem, ReplicaStatus
from consumer.errors import Diagnostic
from consumer.events.decode import Decoder
from consumer.events.triggers import Trigger
from consumer.hooks.table import Hook
from consumer.journal.log_filter import LogFilter, parse_filter
from consumer.journal.log_search import FoundDelivery, Horizon, SearchEnd
from consumer.journal.records import DeliveryRecord, Followed, Phases, hash_user
from consumer.journal.report_reader import Reports
from consumer.journal.report_sums import HOUR_SECONDS, Report, ReportFilter, Step
from consumer.panel.pages.data import SEARCH_SECONDS, Recent
from consumer.records.delivery_metadata import DeliveryMetadata
from consumer.services import reports as report_service
from consumer.services.audit import AuditEntry, AuditFilter, AuditPage
from consumer.services.catalogue import HookEntry, HookState
from consumer.services.checker import Checker
from consumer.services.dead_letters import Counted, DeadLetterPage
from consumer.services.deliveries import DeliveryPage
from consumer.services.events import RecentEvent
from consumer.services.hook_reader import HookChanges, Listing, NotFoundError
from consumer.services.replicas import Replica
from consumer.services.samples import template_sample
from consumer.settings import HooksSettings, Settings
from consumer.stream.dead_letters import DeadLetterRecord, Selection
from consumer.stream.replay import Plan
from support.fakes import FakeClock, FakeRecord

USER_KEY: Final = bytes(32)
SETTINGS: Final = Settings(hooks=HooksSettings(secrets=("ANALYTICS_KEY",)))


def rfc3339(at: float) -> str:
    """Epoch seconds as the records have them."""
    text = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


class PageData:
    """What the pages ask for. A test fills its lists; empty, it is an installation's first day."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.entries: list[HookEntry] = []
        self.file_problems: list[Diagnostic] = []
        self.history: list[AuditRecord] = []
        """The oldest first."""
        self.running: list[Replica] = []
        self.log: list[DeliveryRecord] | None = None
        """The newest first; None: there is no log."""
        self.report_list: list[Report] = []
        self.dead: list[DeadLetterRecord] = []
        """The oldest first."""
        self.recent: dict[Trigger, list[RecentEvent]] = {}
        """The newest first."""
        self.is_uncountable = False
        """Whether a count of the dead letters takes too long."""
        self.sent = 0
        """Dead letters that were sent again."""
        self._checker = Checker(SETTINGS)

    # Filling it

    def add_hook(
        self,
        definition: Mapping[str, Any],
        *,
        state: HookState = HookState.ON,
        revision: int = 0,
        problem: str = "",
        file: str = "",
        refused: bool = False,
    ) -> None:
        """Add a hook: live with a revision, else of a file."""
        hook = None if refused else self._checker.definition(definition, "definition")
        at = rfc3339(self.clock.now() - 3600)
        hook_id = str(definition["id"])
        record = HookRecord(hook_id, revision, definition, at, "ayse", "") if revision else None
        source = "live" if revision else "file"
        entry = HookEntry(
            hook_id, "live" if source == "live" else "file", state, hook, definition,
            record, file, problem,
        )  # fmt: skip
        insort(self.entries, entry, key=lambda one: one.hook_id)

    def add_event(self, trigger: Trigger, event: Mapping[str, Any], offset: int) -> None:
        """Add an event, older than those before it."""
        record = FakeRecord(orjson.dumps(event), topic=trigger.replace("_", "-"), offset=offset)
        decoded = Decoder(trigger, None)(record)
        ref = f"{record.topic}/0/{offset}"
        self.recent.setdefault(trigger, []).append(RecentEvent(decoded, ref))

    def add_dead_letter(self, hook: str, reason: str, at: float, detail: str = "") -> None:
        """Add a dead letter, younger than those before it."""
        offset = len(self.dead)
        metadata = DeliveryMetadata(
            reason=reason, topic="event", partition=0, offset=offset,
            timestamp=int(at * 1000) - 5000, trigger="event", delivery_id=f"e{offset}:{hook}",
            hook=hook, attempts=8, last_status="503", first_failed_at=at - 60, not_before=None,
            unknown_since=None, mapped=False, detail=detail, replay=None,
        )  # fmt: skip
        self.dead.append(
            DeadLetterRecord(
                "hookstream.dead-letter", 0, offset, int(at * 1000), b"key", b"{}", 2, metadata
            )
        )

    # What the pages ask

    async def listing(self) -> Listing:
        """See `Data`, as all below."""
        return Listing(list(self.entries), self.file_problems, len(self.running))

    async def hook(self, hook_id: str) -> HookEntry:
        """One hook."""
        for entry in self.entries:
            if entry.hook_id == hook_id:
                return entry
        raise NotFoundError(f"no hook has the id {hook_id}")

    async def require_broker(self) -> None:
        """It answers."""

    async def knows_hook(self, hook_id: str) -> bool:
        """Whether there is one."""
        return any(entry.hook_id == hook_id for entry in self.entries)

    async def changes(self, hook_id: str, seconds: float | None = None) -> HookChanges:
        """Its changes."""
        del seconds
        found = [one for one in self.history if one.hook == hook_id]
        if not found:
            await self.hook(hook_id)
        return HookChanges(found[::-1], is_cut=False)

    async def replicas(self) -> Sequence[Replica]:
        """The replicas."""
        return self.running

    async def audit(self, wanted: AuditFilter, limit: int) -> AuditPage:
        """The changes of all."""
        found = [
            AuditEntry(offset, one)
            for offset, one in enumerate(self.history)
            if wanted.hook in {None, one.hook}
            and wanted.by in {None, one.by}
            and (wanted.before is None or offset < wanted.before)
        ][::-1]
        page = found[:limit]
        return AuditPage(page, page[-1].offset if len(found) > limit else None)

    def delivery_filter(self, values: Mapping[str, str]) -> LogFilter:
        """A filter of the log."""
        return parse_filter(values, now=self.clock.now(), user_key=USER_KEY)

    async def deliveries(
        self,
        wanted: LogFilter,
        limit: int,
        cursor: str | None = None,
        seconds: float = SEARCH_SECONDS,
    ) -> DeliveryPage:
        """A page of the log; its cursors are numbers here."""
        del seconds
        if self.log is None:
            return DeliveryPage([], Horizon(SearchEnd.NO_LOG, None, 0, 0))
        found = [
            FoundDelivery(one, _milliseconds(one.at), 0, offset)
            for offset, one in enumerate(self.log)
            if wanted.matches(one, _milliseconds(one.at))
        ]
        first = int(cursor or 0)
        page = found[first : first + limit]
        if len(found) > first + limit:
            horizon = Horizon(
                SearchEnd.LIMIT, page[-1].timestamp / 1000, len(self.log), 0,
                cursor=str(first + limit),
            )  # fmt: skip
        else:
            horizon = Horizon(SearchEnd.BEGINNING, None, len(self.log), 0)
        return DeliveryPage(page, horizon)

    async def reports(self, values: Mapping[str, str]) -> Reports:
        """The reports."""
        wanted, step = report_service.parse(values, self.clock.now())
        return await self.day_reports(wanted, step)

    async def day_reports(self, wanted: ReportFilter, step: Step) -> Reports:
        """See `ReadReports`."""
        del step
        found = [one for one in self.report_list if wanted.wants(one.hook, one.start)]
        return Reports(found, exists=bool(self.report_list), passed_over=0)

    async def dead_letters(
        self, selection: Selection, limit: int, cursor: str | None = None
    ) -> DeadLetterPage:
        """A page of dead letters; its cursors are numbers here."""
        chosen = self._chosen(selection)[::-1]
        first = int(cursor or 0)
        page = [replace(one, value=None, headers=()) for one in chosen[first : first + limit]]
        following = str(first + limit) if len(chosen) > first + limit else None
        end = SearchEnd.BEGINNING if following is None else SearchEnd.LIMIT
        return DeadLetterPage(page, Horizon(end, None, len(chosen), 0, cursor=following), {})

    async def dead_letters_and_counts(
        self, selection: Selection, limit: int
    ) -> tuple[DeadLetterPage, Counted | None]:
        """The first page; without counts while a test says that they are too many."""
        page = await self.dead_letters(selection, limit)
        return page, None if self.is_uncountable else self._counted(selection)

    def _counted(self, selection: Selection) -> Counted:
        chosen = self._chosen(selection)
        counts: Counter[tuple[str, ...]] = Counter(
            (one.metadata.hook, one.metadata.reason) for one in chosen if one.metadata is not None
        )
        return Counted(counts, self._plan(selection))

    async def replay_plan(self, selection: Selection, limit: int | None = None) -> Plan:
        """What would be sent."""
        return self._plan(selection, limit)

    async def replay(self, selection: Selection, plan: Plan, by: str) -> int:
        """Send them: they are gone."""
        del by
        gone = self._chosen(selection)[: plan.total]
        self.dead = [one for one in self.dead if one not in gone]
        self.sent += plan.total
        return plan.total

    async def event(self, trigger: Trigger, record_ref: str) -> RecentEvent | None:
        """One event."""
        found = self.recent.get(trigger, [])
        return next((one for one in found if one.record_ref == record_ref), None)

    async def events(self, trigger: Trigger, count: int) -> Recent:
        """The last events."""
        topic = trigger.replace("_", "-")
        return Recent(self.recent.get(trigger, [])[:count], 0, "", [topic])

    def curl(self, hook: Hook) -> str:
        """A sample."""
        return template_sample(hook, SETTINGS, reveal=False).curl(SETTINGS)

    def _chosen(self, selection: Selection) -> list[DeadLetterRecord]:
        since = selection.since or -inf
        return [one for one in self.dead if selection.matches(one) and one.timestamp >= since]

    def _plan(self, selection: Selection, limit: int | None = None) -> Plan:
        plan = Plan(selection, limit, {}, {}, {})
        for one in self._chosen(selection)[:limit]:
            if one.metadata is not None:
                plan.counts[one.metadata.hook, one.metadata.reason, "hookstream.retry.10s"] += 1
        return plan


def full(clock: FakeClock) -> PageData:
    """An installation at work: three hooks, one of which fails."""
    data, now = PageData(clock), clock.now()
    _add_hooks(data)
    _add_events(data)
    _add_log(data, now)
    _add_reports(data, now)
    for index in range(12):
        reason = "exhausted" if index % 3 else "permanent"
        data.add_dead_letter("store-visit", reason, now - 4000 + index * 300)
    data.running = [
        _replica(now, "replica-7f3a", behind=False),
        _replica(now, "replica-b812", behind=True),
    ]
    return data


def _add_hooks(data: PageData) -> None:
    clicks: dict[str, Any] = {
        "id": "click-analytics", "name": "Click analytics", "owner": "team-crm",
        "trigger": "push_click", "select": ["spring-sale", "summer-sale"],
        "uri": "https://analytics.example.com/collect/{campaign}",
        "uri_parameters": {"campaign": {"label": "Campaign code", "default": "none"}},
        "headers": [
            {"key": "X-Api-Key", "source": "fixed", "value": "${env:ANALYTICS_KEY}"},
            {"key": "X-City", "source": "profile", "value": "city", "encode": "percent"},
        ],
        "parameters": [
            {"key": "uid", "source": "profile", "value": "id"},
            {"key": "category", "source": "event", "value": "data.category", "missing": "omit"},
        ],
        "rate_limit": {"requests": 50, "per": "1s", "burst": 50},
    }  # fmt: skip
    feed: dict[str, Any] = {
        "id": "purchase-feed", "name": "Satın alma akışı", "trigger": "event",
        "select": ["purchase"], "uri": "https://feed.example.com/purchases", "owner": "growth",
        "parameters": [{"key": "price", "source": "event", "value": "data.price"}],
    }  # fmt: skip
    visits: dict[str, Any] = {
        "id": "store-visit", "name": "Store visit", "trigger": "geofence",
        "uri": "https://loyalty.example.com/visits",
        "parameters": [
            {"key": "member", "source": "profile", "value": "id", "missing": "reject"}
        ],
    }  # fmt: skip
    data.add_hook(clicks, revision=3)
    data.add_hook(feed, file="hooks/purchase-feed.yaml:3")
    data.add_hook(visits, revision=1, state=HookState.CIRCUIT_OPEN)
    before = {**clicks, "select": ["spring-sale"], "name": "Clicks"}
    at = data.clock.now() - 7200
    data.history = [
        _change(at - 600, "ayse", Action.CREATED, 1, None, before),
        _change(at - 300, "mehmet", Action.CREATED, 1, None, visits),
        _change(at, "ayse", Action.CHANGED, 3, before, clicks, "the summer campaign too"),
    ]


def _change(  # noqa: PLR0917  # the record's own order
    at: float,
    by: str,
    action: Action,
    revision: int,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any],
    comment: str = "",
) -> AuditRecord:
    hook_id = str(after["id"])
    return AuditRecord(rfc3339(at), by, action, hook_id, revision, before, after, comment)


def _add_events(data: PageData) -> None:
    now = data.clock.now()
    for index in range(6):
        data.add_event(
            "push_click",
            {
                "id": f"01JDCLICK{index}", "occurred_at": rfc3339(now - index * 7), "app": "shop",
                "user": {"id": f"user-{index}", "attributes": {"city": "İstanbul"}},
                "notification": {"id": "spring-sale" if index % 2 else "other"},
                "data": {"action_id": "buy", "category": "shoes"},
            },
            100 - index,
        )  # fmt: skip


def attempt(at: float, hook: str, event: str, number: int, **fields: Any) -> DeliveryRecord:
    """A record of the log."""
    given: dict[str, Any] = {
        "outcome": Followed.DELIVERED, "status": 200, "event": event,
        "ms": Phases(4.0, 11.0, 31.0, 82.5, 84.0), "source": f"push-click/0/{number}",
        "user": hash_user(USER_KEY, "user-1"), "revision": 3, "replica": "replica-7f3a", **fields,
    }  # fmt: skip
    return DeliveryRecord(
        at=rfc3339(at), delivery=f"{event}:{hook}", hook=hook, attempt=number, **given
    )


def _add_log(data: PageData, now: float) -> None:
    failed = {"outcome": Followed.RETRY, "status": 503, "ms": Phases(first_byte=20.0, all=21.0)}
    records = [
        attempt(now - 140, "store-visit", "e7", 1, **failed, retry_at=rfc3339(now - 130)),
        attempt(now - 119, "store-visit", "e7", 2, **{**failed, "status": None, "error": "timeout",
                "ms": Phases(all=10_000.0)}, retry_at=rfc3339(now - 59)),
        attempt(now - 58, "store-visit", "e7", 3, **failed, retry_at=rfc3339(now + 542)),
        attempt(now - 300, "store-visit", "e3", 8, outcome=Followed.DEAD_LETTER, status=503,
                reason="exhausted"),
        attempt(now - 200, "store-visit", "e4", 0, outcome=Followed.OVERFLOW, status=None,
                reason="circuit_open", ms=Phases()),
    ]  # fmt: skip
    records += [
        attempt(now - 10 - index * 13, "click-analytics", f"01JDCLICK{index}", 1)
        for index in range(130)
    ]
    data.log = sorted(records, key=lambda one: one.at, reverse=True)


def _add_reports(data: PageData, now: float) -> None:
    first = now - now % HOUR_SECONDS - 23 * HOUR_SECONDS
    for index in range(24):
        wave = 400 + 300 * ((index * 7) % 11) // 10
        data.report_list += [
            report("click-analytics", first + index * HOUR_SECONDS, good=wave, bad=index % 5),
            report(
                "store-visit", first + index * HOUR_SECONDS, good=40, bad=index * 6, dead=index // 4
            ),
        ]


def report(
    hook: str, start: float, *, good: int, bad: int = 0, dead: int = 0, overflowed: int = 0
) -> Report:
    """The counts of one hook and hour."""
    return Report(
        hook=hook, start=start, seconds=HOUR_SECONDS, delivered=good, retried=bad,
        overflowed=overflowed,
        dead_lettered={"exhausted": dead} if dead else {}, attempts={"2xx": good, "5xx": bad},
        percentiles={0.5: 0.04 + good / 20_000, 0.95: 0.11, 0.99: 0.2 + bad / 200},
    )  # fmt: skip


def _replica(now: float, name: str, *, behind: bool) -> Replica:
    problem = HookProblem(
        "store-visit",
        "headers[0].key: is not a header name (use 1 to 100 letters, digits and hyphens)",
        1,
    )
    status = ReplicaStatus(
        replica=name, version="1.0.0", started_at=rfc3339(now - 90_000), at=rfc3339(now - 3),
        hooks=3, hooks_offset=41 if behind else 42, problem_count=int(behind),
        problems=[problem] if behind else [],
        partitions={"push-click": [0, 1, 2], "hookstream.retry.10s": [0]},
        lag={"push-click": 12, "hookstream.retry.10s": 30}, in_flight=7,
        open_circuits=["store-visit"], learned_rates={"click-analytics": 42.5},
    )  # fmt: skip
    return Replica(status, 42, {"push-click": -0.4}, frozenset({"hookstream.retry.10s"}))


def _milliseconds(at: str) -> int:
    return int(datetime.fromisoformat(at).timestamp() * 1000)
