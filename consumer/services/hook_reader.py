"""Hooks of files and of the topic, and the replicas that use them, as of now."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from consumer.clock import Clock
from consumer.control.live_table import LiveTable
from consumer.control.records import AuditRecord
from consumer.control.status import ReplicaStatus
from consumer.errors import Diagnostic, HookstreamError
from consumer.events.triggers import Trigger
from consumer.logs import get_logger
from consumer.services.audit import AuditEntry, AuditFilter, search_audit
from consumer.services.broker_watch import Require
from consumer.services.catalogue import Catalogue, HookEntry, HookState
from consumer.services.checker import Checker
from consumer.services.file_hooks import FileDefinitions, FileHooks
from consumer.services.replicas import Replica, StatusTable
from consumer.services.topic_view import TopicView, UnavailableError
from consumer.settings import Settings

log = get_logger(__name__)

MAX_CHANGES: Final = 1_000
"""The newest ones of a hook, which a history has."""


class NotFoundError(HookstreamError):
    """There is no such hook, or it has no such revision."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which hooks are wanted; None: all."""

    text: str | None = None
    """Part of the id, name, owner or URI, in any case of letters."""
    trigger: Trigger | None = None
    state: HookState | None = None

    def matches(self, entry: HookEntry) -> bool:
        """Whether an entry is wanted."""
        if self.state is not None and entry.state is not self.state:
            return False
        definition = entry.definition or {}
        if self.trigger is not None and definition.get("trigger") != self.trigger:
            return False
        if self.text is None:
            return True
        texts = (entry.hook_id, *(definition.get(name) for name in ("name", "owner", "uri")))
        wanted = self.text.casefold()
        return any(wanted in text.casefold() for text in texts if isinstance(text, str))


@dataclass(frozen=True, slots=True)
class Listing:
    """All hooks at one moment."""

    entries: list[HookEntry]
    problems: list[Diagnostic]
    """Of files that cannot be read."""
    replicas: int | None = None
    """How many run; None: hooks are in files only, or statuses cannot be read."""


@dataclass(frozen=True, slots=True)
class HookChanges:
    """The changes of a hook."""

    records: list[AuditRecord]
    """The newest first; `MAX_CHANGES` at most."""
    is_cut: bool
    """Whether the search ended before it came to older ones."""


class HookReader:
    """Reads the hooks of one installation. It keeps no state but what it has read.

    Every call raises `HookstreamError`; `UnavailableError` if another try may help.
    """

    def __init__(self, settings: Settings, require: Require, clock: Clock) -> None:
        """`require`: see `BrokerWatch`.

        Raises:
            ConfigError: a key for sealed secrets is none.
        """
        kafka, checker = settings.kafka, Checker(settings)
        topics = kafka.own_topics
        self._settings = settings
        self.require = require
        self._clock = clock
        self._files = FileHooks(settings, checker)
        self._catalogue = Catalogue(checker)
        self._hooks = TopicView(kafka, topics.hooks, LiveTable(), clock)
        self._statuses = TopicView(kafka, topics.status, StatusTable(), clock)
        self._one_at_a_time = asyncio.Lock()
        """Of those who load definitions, here or in a thread: a load has a state."""

    async def close(self) -> None:
        """Disconnect."""
        await self._hooks.close()
        await self._statuses.close()

    async def listing(self) -> Listing:
        """Every hook, by id."""
        table, running = (await self.table()).copy(), await self._running_if_known()
        async with self._one_at_a_time:
            files = await asyncio.to_thread(self._files.read)
            entries = await asyncio.to_thread(self._catalogue.entries, table, files, running or ())
        return Listing(entries, list(files.problems), None if running is None else len(running))

    async def get(self, hook_id: str) -> HookEntry:
        """One hook. Raises `NotFoundError`."""
        files, running = await self.in_files(), await self._running_if_known()
        table = await self.table()
        async with self._one_at_a_time:
            entry = self._catalogue.entry(hook_id, table, files, running or ())
        if entry is None:
            raise NotFoundError(f"no hook has the id {hook_id}")
        return entry

    async def knows(self, hook_id: str) -> bool:
        """Whether there may be such a hook: also true if the hooks cannot be read."""
        try:
            files, table = await self.in_files(), await self.table()
        except HookstreamError:
            return True
        record = table.records.get(hook_id)
        return (
            hook_id in files.by_id
            or bool(files.problems)
            or hook_id in table.unreadable
            or (record is not None and record.definition is not None)
        )

    async def replicas(self) -> list[Replica]:
        """The replicas that run."""
        newest, topics = (await self.table()).next_offset - 1, self._settings.kafka.own_topics
        return [
            Replica(
                status,
                newest,
                self._statuses.table.lag_trends(status),
                frozenset(topic for topic in status.lag if topics.is_for_waiting(topic)),
            )
            for status in await self._running()
        ]

    async def changes(self, hook_id: str, seconds: float | None = None) -> HookChanges:
        """The changes of a hook that can be read in so many `seconds`; see `search_audit`. Raises
        `NotFoundError`.
        """

        def is_enough(found: list[AuditEntry]) -> bool:
            return found[-1].change.revision <= 1 or len(found) >= MAX_CHANGES

        await self.require()
        wanted = AuditFilter(hook=hook_id)
        page = await search_audit(self._settings, wanted, is_enough, self._clock, seconds)
        if not page.entries:
            await self.get(hook_id)
        is_whole = page.next_before is None or (bool(page.entries) and is_enough(page.entries))
        return HookChanges([one.change for one in page.entries], not is_whole)

    async def revision(self, hook_id: str, revision: int) -> AuditRecord:
        """One change of a hook.

        Raises:
            NotFoundError: the audit topic does not have it.
            UnavailableError: it was not found in time.
        """

        def is_enough(found: list[AuditEntry]) -> bool:
            return found[-1].change.revision <= revision

        await self.require()
        page = await search_audit(self._settings, AuditFilter(hook=hook_id), is_enough, self._clock)
        for one in page.entries:
            if one.change.revision == revision:
                return one.change
        if page.next_before is not None and (
            not page.entries or page.entries[-1].change.revision > revision
        ):
            raise UnavailableError(
                f"revision {revision} of hook {hook_id} was not found in time: use "
                "`hookstream hooks rollback`"
            )
        raise NotFoundError(f"hook {hook_id} has no revision {revision} in the audit topic")

    async def table(self) -> LiveTable:
        """The live definitions as of now; later calls change it."""
        if not self._settings.hooks.live:
            return LiveTable()
        await self.require()
        return await self._hooks.read()

    async def in_files(self) -> FileDefinitions:
        """The definitions in files as of now."""
        async with self._one_at_a_time:
            return await asyncio.to_thread(self._files.read)

    async def _running_if_known(self) -> list[ReplicaStatus] | None:
        """The replicas that run; None if they cannot be read: hooks are shown without them."""
        if not self._settings.hooks.live:
            return None
        try:
            return await self._running()
        except HookstreamError as error:
            log.debug("the replicas' statuses cannot be read", problem=str(error))
            return None

    async def _running(self) -> list[ReplicaStatus]:
        if not self._settings.hooks.live:
            return []
        await self.require()
        return (await self._statuses.read()).running(self._clock.now())


@asynccontextmanager
async def read_ahead(reader: HookReader) -> AsyncIterator[None]:
    """Read and load all hooks while entered, as far as that comes: the first look finds them."""

    async def read() -> None:
        try:
            await reader.listing()
        except HookstreamError as error:
            log.debug("hooks cannot be read yet", problem=str(error))

    reading = asyncio.create_task(read())
    try:
        yield
    finally:
        reading.cancel()
        await asyncio.wait([reading])
