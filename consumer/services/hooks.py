"""Hooks of files and of the topic: checked and changed."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from consumer.clock import Clock
from consumer.control.changes import ConflictError, WantedChange
from consumer.control.difference import FieldChange
from consumer.control.live_table import LiveTable
from consumer.control.plain_secrets import has_hidden_secrets, unmarked_signing_secrets
from consumer.control.plan import PlannedChange, definition_of, known, plan_change
from consumer.control.records import Action
from consumer.control.write_plan import Author, plan_write
from consumer.control.writer import HookWriter
from consumer.errors import ConfigError, Diagnostic, HookstreamError
from consumer.hooks.table import Hook
from consumer.services.broker_watch import Require
from consumer.services.checker import Checker
from consumer.services.hook_reader import HookReader, NotFoundError
from consumer.settings import Settings

GIVEN: Final = "definition"
"""Stands in place of the file of a definition that a person gave."""


class ReadOnlyError(HookstreamError):
    """The hook cannot be changed here: a file defines it, or definitions are in files only."""


class ExistsError(HookstreamError):
    """There is such a hook already."""


@dataclass(frozen=True, slots=True)
class Who:
    """Who changes something, and why."""

    by: str
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Changed:
    """One change, made or only planned."""

    hook_id: str
    action: Action | None
    """None: the definition is in force already, so nothing changes."""
    seen: int
    """The revision before; 0: none."""
    revision: int | None
    """The one afterwards; None: nothing was written."""
    fields: list[FieldChange]
    definition: Mapping[str, Any] | None
    """None: it is deleted."""


class HookService:
    """The hooks of one installation. It keeps no state but what it has read.

    Every call raises `HookstreamError`; `UnavailableError` if another try may help.
    """

    def __init__(self, settings: Settings, require: Require, clock: Clock) -> None:
        """`require`: see `BrokerWatch`.

        Raises:
            ConfigError: a key for sealed secrets is none.
        """
        self._settings = settings
        self._clock = clock
        self._checker = Checker(settings)
        """Used on the loop's thread only: the reader has another one."""
        self.reader = HookReader(settings, require, clock)
        self._writer = HookWriter(settings.kafka, clock)

    async def close(self) -> None:
        """Disconnect."""
        await self.reader.close()
        await self._writer.close()

    def check(self, definition: object) -> Hook:
        """The hook of a definition. Raises `ConfigError` with its problems."""
        return self._checker.definition(definition, GIVEN)

    async def with_secrets(self, definition: Mapping[str, Any]) -> Mapping[str, Any]:
        """A definition with the signing secrets that marks stand for in it, which the hook of its
        id has now. Raises `ConfigError` with the marks that stand for none.
        """
        if not has_hidden_secrets(definition):
            return definition
        try:
            entry = await self.reader.get(str(definition.get("id")))
        except NotFoundError:
            return unmarked_signing_secrets(definition, None)
        return unmarked_signing_secrets(definition, entry.definition)

    async def create(self, definition: Mapping[str, Any], who: Who, *, dry_run: bool) -> Changed:
        """Create a hook. Raises `ConfigError`, `ExistsError` or `ReadOnlyError`."""
        hook_id = self.check(definition).id
        await self._refuse_files(hook_id, ExistsError)
        table = await self.reader.table()
        planned = PlannedChange(Action.CREATED, hook_id, 0, None, definition)
        try:
            return await self._write(table, planned, 0, who, dry_run=dry_run)
        except ConflictError as error:
            raise ExistsError(str(error)) from error

    async def change(
        self,
        hook_id: str,
        definition: Mapping[str, Any],
        seen: int | None,
        who: Who,
        *,
        dry_run: bool,
    ) -> Changed:
        """Change a hook of which revision `seen` was seen; None: whatever it is now.

        Raises `ConfigError`, `NotFoundError`, `ReadOnlyError` or `ConflictError`.
        """
        if (found := self.check(definition).id) != hook_id:
            problem = Diagnostic(
                f"is {found}, and the hook is {hook_id}",
                "write the same id, or create another hook",
                field="id",
            )
            raise ConfigError([problem])
        table = await self._changeable(hook_id)
        planned = plan_change(table, hook_id, definition)
        return await self._write(
            table, planned or _nothing(table, hook_id), seen, who, dry_run=dry_run
        )

    async def delete(self, hook_id: str, seen: int | None, who: Who, *, dry_run: bool) -> Changed:
        """Delete a hook. Raises as `change` does."""
        table = await self._changeable(hook_id)
        planned = PlannedChange(
            Action.DELETED, hook_id, table.revision(hook_id), definition_of(table, hook_id), None
        )
        return await self._write(table, planned, seen, who, dry_run=dry_run)

    async def roll_back(
        self, hook_id: str, revision: int, seen: int | None, who: Who, *, dry_run: bool
    ) -> Changed:
        """Bring an earlier revision back, also of a hook that was deleted. Raises as `change`."""
        await self._refuse_files(hook_id, ReadOnlyError)
        table = await self.reader.table()
        definition = (await self.reader.revision(hook_id, revision)).after
        if definition is None:
            raise NotFoundError(f"revision {revision} of hook {hook_id} is its deletion")
        self._checker.definition(definition, f"revision {revision}")
        planned = plan_change(table, hook_id, definition, restore=True)
        who = Who(who.by, who.comment or f"revision {revision} restored")
        return await self._write(
            table, planned or _nothing(table, hook_id), seen, who, dry_run=dry_run
        )

    async def switch(
        self, hook_id: str, seen: int | None, who: Who, *, enabled: bool, dry_run: bool
    ) -> Changed:
        """Pause a hook, or resume it: write `enabled` as a new revision. Raises as `change`."""
        table = await self._changeable(hook_id)
        current = definition_of(table, hook_id)
        if current is None:
            raise NotFoundError(f"hook {hook_id} has no definition that can be read")
        planned = None
        if self.check(current).enabled is not enabled:
            planned = plan_change(table, hook_id, {**current, "enabled": enabled})
        who = Who(who.by, who.comment or ("resumed" if enabled else "paused"))
        return await self._write(
            table, planned or _nothing(table, hook_id), seen, who, dry_run=dry_run
        )

    async def _changeable(self, hook_id: str) -> LiveTable:
        """The live definitions, of which this is one. Raises `ReadOnlyError`, `NotFoundError`."""
        await self._refuse_files(hook_id, ReadOnlyError)
        table = await self.reader.table()
        if hook_id not in known(table):
            raise NotFoundError(f"no hook has the id {hook_id}")
        return table

    async def _refuse_files(self, hook_id: str, error: type[HookstreamError]) -> None:
        found = (await self.reader.in_files()).by_id.get(hook_id)
        if found is not None:
            raise error(f"hook {hook_id} is defined in {found.path}: change it there")
        if not self._settings.hooks.live:
            raise ReadOnlyError(
                "definitions are in files only: change them there, or set hooks.live to true"
            )

    async def _write(
        self,
        table: LiveTable,
        planned: PlannedChange,
        seen: int | None,
        who: Who,
        *,
        dry_run: bool,
    ) -> Changed:
        """Raises `ConflictError`, `NotWrittenError` or `UnknownOutcomeError`."""
        hook_id, current = planned.hook_id, planned.seen
        wanted = WantedChange(
            hook_id,
            planned.after,
            current if seen is None else seen,
            restored=planned.action is Action.RESTORED,
        )
        # What a write would refuse is refused in a dry run, too.
        plan = plan_write(table, [wanted], Author(who.by, who.comment, "", ""))
        action = planned.action if plan.written else None
        if dry_run or action is None:
            return Changed(hook_id, action, current, None, planned.fields, planned.after)
        [record] = await self._writer.write([wanted], by=who.by, comment=who.comment)
        with suppress(HookstreamError):  # it is written, whether or not it can be seen yet
            await self.reader.table()
        return Changed(hook_id, action, current, record.revision, planned.fields, planned.after)


def _nothing(table: LiveTable, hook_id: str) -> PlannedChange:
    """The change that leaves a hook as it is."""
    current = definition_of(table, hook_id)
    return PlannedChange(Action.CHANGED, hook_id, table.revision(hook_id), current, current)
