"""Writes to the installation in memory, with the answers of `HookService`."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from consumer.control.changes import Conflict, ConflictError
from consumer.control.plain_secrets import shown_difference
from consumer.control.records import Action, AuditRecord, HookRecord
from consumer.hooks.table import Hook
from consumer.services.catalogue import HookEntry, HookState
from consumer.services.checker import Checker
from consumer.services.hook_reader import NotFoundError
from consumer.services.hooks import Changed, ExistsError, Who
from support.page_data import SETTINGS, PageData, rfc3339


class PageChanges:
    """Changes the hooks of `PageData`, and keeps their history."""

    def __init__(self, data: PageData) -> None:
        self._data = data
        self._checker = Checker(SETTINGS)

    def check(self, definition: object) -> Hook:
        """The hook of a definition."""
        return self._checker.definition(definition, "definition")

    async def create(self, definition: Mapping[str, Any], who: Who, *, dry_run: bool) -> Changed:
        """Create a hook."""
        hook_id = self.check(definition).id
        if any(one.hook_id == hook_id for one in self._data.entries):
            raise ExistsError(f"there is a hook {hook_id} already")
        return self._write(None, hook_id, definition, Action.CREATED, 0, who, dry_run=dry_run)

    async def change(
        self,
        hook_id: str,
        definition: Mapping[str, Any],
        seen: int | None,
        who: Who,
        *,
        dry_run: bool,
    ) -> Changed:
        """Change a hook."""
        self.check(definition)
        entry = await self._data.hook(hook_id)
        return self._write(entry, hook_id, definition, Action.CHANGED, seen, who, dry_run=dry_run)

    async def delete(self, hook_id: str, seen: int | None, who: Who, *, dry_run: bool) -> Changed:
        """Delete a hook."""
        entry = await self._data.hook(hook_id)
        return self._write(entry, hook_id, None, Action.DELETED, seen, who, dry_run=dry_run)

    async def switch(
        self, hook_id: str, seen: int | None, who: Who, *, enabled: bool, dry_run: bool
    ) -> Changed:
        """Pause a hook, or resume it."""
        entry = await self._data.hook(hook_id)
        assert entry.definition is not None
        definition: Mapping[str, Any] = entry.definition
        if definition.get("enabled", True) is not enabled:
            definition = {**definition, "enabled": enabled}
        return self._write(entry, hook_id, definition, Action.CHANGED, seen, who, dry_run=dry_run)

    async def roll_back(
        self, hook_id: str, revision: int, seen: int | None, who: Who, *, dry_run: bool
    ) -> Changed:
        """Bring an earlier revision back."""
        changes = (await self._data.changes(hook_id)).records
        found = next((one for one in changes if one.revision == revision), None)
        if found is None or found.after is None:
            raise NotFoundError(f"hook {hook_id} has no revision {revision} in the audit topic")
        entry = next((one for one in self._data.entries if one.hook_id == hook_id), None)
        return self._write(entry, hook_id, found.after, Action.RESTORED, seen, who, dry_run=dry_run)

    def _write(  # noqa: PLR0917  # what a write is made of
        self,
        entry: HookEntry | None,
        hook_id: str,
        after: Mapping[str, Any] | None,
        action: Action,
        seen: int | None,
        who: Who,
        *,
        dry_run: bool,
    ) -> Changed:
        before = entry.definition if entry is not None else None
        current = entry.revision if entry is not None else 0
        if seen is not None and seen != current:
            record = entry.record if entry is not None else None
            by = record.by if record is not None else "mehmet"
            raise ConflictError([Conflict(hook_id, seen, current, by=by)])
        fields, done = shown_difference(before, after), action if before != after else None
        if dry_run or done is None:
            return Changed(hook_id, done, current, None, fields, after)
        at, revision = rfc3339(self._data.clock.now()), current + 1
        if after is None:
            return self._deleted(hook_id, revision, before, who)
        hook = self._checker.definition(after, "definition")
        state = HookState.ON if hook.enabled else HookState.OFF
        record = HookRecord(hook_id, revision, after, at, who.by, who.comment)
        new = HookEntry(hook_id, "live", state, hook, after, record)
        rest = [one for one in self._data.entries if one.hook_id != hook_id]
        self._data.entries = sorted([*rest, new], key=lambda one: one.hook_id)
        self._data.history.append(
            AuditRecord(at, who.by, done, hook_id, revision, before, after, who.comment)
        )
        self._data.running = [
            replace(one, newest_offset=one.newest_offset + 1) for one in self._data.running
        ]
        return Changed(hook_id, done, current, revision, fields, after)

    def _deleted(
        self, hook_id: str, revision: int, before: Mapping[str, Any] | None, who: Who
    ) -> Changed:
        at = rfc3339(self._data.clock.now())
        self._data.entries = [one for one in self._data.entries if one.hook_id != hook_id]
        self._data.history.append(
            AuditRecord(at, who.by, Action.DELETED, hook_id, revision, before, None, who.comment)
        )
        fields = shown_difference(before, None)
        return Changed(hook_id, Action.DELETED, revision - 1, revision, fields, None)
