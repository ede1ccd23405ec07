"""What the pages ask the services for."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Final, Protocol

from consumer.clock import Clock
from consumer.errors import HookstreamError
from consumer.events.triggers import Trigger
from consumer.hooks.table import Hook
from consumer.journal.log_filter import LogFilter
from consumer.journal.log_search import SearchBounds
from consumer.journal.report_reader import Reports
from consumer.services import reports as report_service
from consumer.services.audit import AuditFilter, AuditPage, read_audit
from consumer.services.catalogue import HookEntry
from consumer.services.dead_letter_reads import DeadLetterReads
from consumer.services.dead_letters import Counted, DeadLetterPage, Replay, choose
from consumer.services.deliveries import Deliveries, DeliveryPage
from consumer.services.events import RecentEvent, RecentEvents, event_at
from consumer.services.hook_reader import HookChanges, Listing
from consumer.services.hooks import HookService
from consumer.services.replicas import Replica
from consumer.services.report_reads import ReportReads
from consumer.services.samples import template_sample
from consumer.settings import Settings
from consumer.stream.dead_letters import Selection
from consumer.stream.replay import Plan

GLANCE_SECONDS: Final = 0.1
"""Of a search that a page waits for: what it has not come to is a part that comes after the page,
or another page.
"""
SEARCH_SECONDS: Final = 3.0
"""Of one page of the delivery log: its end says how far it came, and the next page goes on."""
MAX_RECORDS: Final = 2_000_000
"""That one page of the delivery log reads."""
COUNT_SECONDS: Final = 5.0
"""Of a count of dead letters; a page that has waited so long goes without."""


@dataclass(frozen=True, slots=True)
class Recent:
    """The last events of a trigger, the newest first."""

    events: Sequence[RecentEvent]
    undecodable: int
    stopped_by: str
    """See `RecentEvents`."""
    topics: Sequence[str]
    """The sources of the trigger; none: the settings name none."""


class Data(Protocol):
    """Each call raises `HookstreamError`."""

    async def require_broker(self) -> None:
        """Return if Kafka answers. Raises `UnavailableError`."""
        ...

    async def listing(self) -> Listing:
        """Every hook."""
        ...

    async def hook(self, hook_id: str) -> HookEntry:
        """One hook. Raises `NotFoundError`."""
        ...

    async def knows_hook(self, hook_id: str) -> bool:
        """See `HookReader.knows`; it raises nothing."""
        ...

    async def changes(self, hook_id: str, seconds: float | None = None) -> HookChanges:
        """The changes of a hook; see `HookReader.changes`. Raises `NotFoundError`."""
        ...

    async def replicas(self) -> Sequence[Replica]:
        """The replicas that run."""
        ...

    async def audit(self, wanted: AuditFilter, limit: int) -> AuditPage:
        """The newest changes."""
        ...

    def delivery_filter(self, values: Mapping[str, str]) -> LogFilter:
        """The filter that a person wrote. Raises `ConfigError`."""
        ...

    async def deliveries(
        self,
        wanted: LogFilter,
        limit: int,
        cursor: str | None = None,
        seconds: float = SEARCH_SECONDS,
    ) -> DeliveryPage:
        """A page of the delivery log, as far as a search of so many seconds comes. Raises
        `ConfigError` for another search's cursor.
        """
        ...

    async def reports(self, values: Mapping[str, str]) -> Reports:
        """The reports of a filter. Raises `ConfigError`."""
        ...

    async def dead_letters(
        self, selection: Selection, limit: int, cursor: str | None = None
    ) -> DeadLetterPage:
        """A page of dead letters, as far as a search of `SEARCH_SECONDS` comes. Raises
        `ConfigError` for another search's cursor.
        """
        ...

    async def dead_letters_and_counts(
        self, selection: Selection, limit: int
    ) -> tuple[DeadLetterPage, Counted | None]:
        """The first page, with how many there are and what a replay would send; None: it takes
        long to count them.
        """
        ...

    async def replay_plan(self, selection: Selection, limit: int | None = None) -> Plan:
        """What a replay would send; with `limit` so many at most, the oldest."""
        ...

    async def replay(self, selection: Selection, plan: Plan, by: str) -> int:
        """Send what was planned, for a user. Returns how many were sent."""
        ...

    async def events(self, trigger: Trigger, count: int) -> Recent:
        """The last events of a trigger."""
        ...

    async def event(self, trigger: Trigger, record_ref: str) -> RecentEvent | None:
        """The event of a record, `topic/partition/offset`; None: it is there no more."""
        ...

    def curl(self, hook: Hook) -> str:
        """The request of a hook as a command, without an event and without secrets."""
        ...


class ServiceData:
    """The data of one installation, by way of the services."""

    def __init__(
        self,
        settings: Settings,
        hooks: HookService,
        log: Deliveries,
        reports: ReportReads,
        *,
        dead_letters: DeadLetterReads,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._hooks = hooks
        self._log = log
        self._reports = reports
        self._dead_letters = dead_letters
        self._clock = clock

    async def require_broker(self) -> None:
        """See `Data`, as below."""
        await self._hooks.reader.require()

    async def listing(self) -> Listing:
        """Every hook."""
        return await self._hooks.reader.listing()

    async def hook(self, hook_id: str) -> HookEntry:
        """One hook."""
        return await self._hooks.reader.get(hook_id)

    async def knows_hook(self, hook_id: str) -> bool:
        """Whether there may be such a hook."""
        return await self._hooks.reader.knows(hook_id)

    async def changes(self, hook_id: str, seconds: float | None = None) -> HookChanges:
        """The changes of a hook."""
        return await self._hooks.reader.changes(hook_id, seconds)

    async def replicas(self) -> Sequence[Replica]:
        """The replicas that run."""
        return await self._hooks.reader.replicas()

    async def audit(self, wanted: AuditFilter, limit: int) -> AuditPage:
        """The newest changes."""
        await self._hooks.reader.require()
        return await read_audit(self._settings, wanted, limit, self._clock)

    def delivery_filter(self, values: Mapping[str, str]) -> LogFilter:
        """A filter of the log."""
        return self._log.parse(values)

    async def deliveries(
        self,
        wanted: LogFilter,
        limit: int,
        cursor: str | None = None,
        seconds: float = SEARCH_SECONDS,
    ) -> DeliveryPage:
        """A page of the log."""
        await self._hooks.reader.require()
        bounds = SearchBounds(seconds, MAX_RECORDS)
        return await self._log.page(wanted, limit=limit, cursor=cursor, bounds=bounds)

    async def reports(self, values: Mapping[str, str]) -> Reports:
        """The reports of a filter."""
        wanted, step = report_service.parse(values, self._clock.now())
        return await self._reports.read(wanted, step)

    async def dead_letters(
        self, selection: Selection, limit: int, cursor: str | None = None
    ) -> DeadLetterPage:
        """A page of dead letters."""
        return await self._dead_letters.page(
            selection, limit=limit, cursor=cursor, seconds=SEARCH_SECONDS
        )

    async def dead_letters_and_counts(
        self, selection: Selection, limit: int
    ) -> tuple[DeadLetterPage, Counted | None]:
        """The first page and the counts."""
        return await self._dead_letters.page_and_counts(
            selection, limit=limit, seconds=SEARCH_SECONDS, count_seconds=COUNT_SECONDS
        )

    async def replay_plan(self, selection: Selection, limit: int | None = None) -> Plan:
        """See `Data`."""
        replay = Replay(self._settings, selection, limit=limit, again=False)
        return await self._dead_letters.plan(replay)

    async def replay(self, selection: Selection, plan: Plan, by: str) -> int:
        """Send what was planned; if the page is left, it ends behind a batch."""
        stop = asyncio.Event()
        replay = Replay(self._settings, selection, limit=None, again=False, by=by)
        sending = asyncio.ensure_future(
            replay.send(plan, stopped=stop.is_set, advanced=lambda _: None)
        )
        try:
            return await asyncio.shield(sending)
        except asyncio.CancelledError:
            stop.set()
            with suppress(HookstreamError):  # its reader has left
                await sending
            raise

    async def events(self, trigger: Trigger, count: int) -> Recent:
        """The last events of a trigger."""
        recent = RecentEvents(self._settings, trigger, count, self._clock)
        if not recent.topics:
            return Recent([], 0, "", [])
        await self._hooks.reader.require()
        async with aclosing(recent.read()) as events:
            found = [one async for one in events]
        return Recent(found, recent.undecodable, recent.stopped_by, recent.topics)

    async def event(self, trigger: Trigger, record_ref: str) -> RecentEvent | None:
        """One event."""
        await self._hooks.reader.require()
        return await event_at(self._settings, trigger, record_ref, self._clock)

    def curl(self, hook: Hook) -> str:
        """A sample request."""
        return template_sample(hook, self._settings, reveal=False).curl(self._settings)


def selection_of(values: Mapping[str, str], clock: Clock) -> Selection:
    """The dead letters that a person asks for. Raises `InvalidValue` with the field as its path."""
    return choose(values.get("hook"), values.get("reason"), values.get("since"), clock)
