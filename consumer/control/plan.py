"""From the definitions that a person wants to the changes that lead there."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from consumer.control.changes import WantedChange
from consumer.control.difference import FieldChange, written_definition
from consumer.control.live_table import LiveTable
from consumer.control.plain_secrets import shown_difference
from consumer.control.records import Action


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """One change, with what it replaces."""

    action: Action
    hook_id: str
    seen: int
    """The revision that it replaces; 0: the hook is new."""
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None

    @property
    def fields(self) -> list[FieldChange]:
        """What differs; signing secrets are hidden."""
        return shown_difference(self.before, self.after)

    @property
    def wanted(self) -> WantedChange:
        """The change as the writer takes it."""
        restored = self.action is Action.RESTORED
        return WantedChange(self.hook_id, self.after, self.seen, restored=restored)


@dataclass(frozen=True, slots=True)
class Plan:
    """The changes that lead from the live definitions to the wanted ones."""

    changes: tuple[PlannedChange, ...]
    unchanged: int
    """Wanted definitions that are in force already."""


def plan_apply(table: LiveTable, wanted: Mapping[str, Mapping[str, Any]], *, prune: bool) -> Plan:
    """The plan of definitions by hook id, new ones first. With `prune` live ones that are not
    wanted are deleted.
    """
    changes = [
        change
        for hook_id, definition in wanted.items()
        if (change := plan_change(table, hook_id, definition)) is not None
    ]
    unchanged = len(wanted) - len(changes)
    if prune:
        changes += plan_deletions(table, (one for one in known(table) if one not in wanted))
    order = list(Action)
    changes.sort(key=lambda change: (order.index(change.action), change.hook_id))
    return Plan(tuple(changes), unchanged)


def plan_change(
    table: LiveTable, hook_id: str, definition: Mapping[str, Any], *, restore: bool = False
) -> PlannedChange | None:
    """The change of one hook to `definition`; None if that is in force already. A hook whose
    newest record cannot be read is written again in any case.
    """
    seen, before = table.revision(hook_id), definition_of(table, hook_id)
    is_known = before is not None and written_definition(before) == written_definition(definition)
    if is_known and hook_id not in table.unreadable:
        return None
    action = Action.CHANGED if seen else Action.CREATED
    return PlannedChange(Action.RESTORED if restore else action, hook_id, seen, before, definition)


def plan_deletions(table: LiveTable, hook_ids: Iterable[str]) -> list[PlannedChange]:
    """The deletions of hooks; of one whose only record cannot be read, too."""
    return [
        PlannedChange(
            Action.DELETED, hook_id, table.revision(hook_id), definition_of(table, hook_id), None
        )
        for hook_id in hook_ids
    ]


def known(table: LiveTable) -> list[str]:
    """The ids that have a definition, or a record that cannot be read; sorted."""
    live = {hook_id for hook_id in table.records if table.revision(hook_id)}
    return sorted(live | table.unreadable.keys())


def definition_of(table: LiveTable, hook_id: str) -> Mapping[str, Any] | None:
    """The newest readable definition of a hook; None if it has none."""
    record = table.records.get(hook_id)
    return record.definition if record is not None else None
