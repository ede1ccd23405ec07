"""Decides what a write puts into the topics: pure, from the table as it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import orjson

from consumer.control.changes import Conflict, ConflictError, NotWrittenError, WantedChange
from consumer.control.live_table import LiveTable
from consumer.control.records import Action, AuditRecord, HookRecord, Written
from consumer.errors import InvalidValue


@dataclass(frozen=True, slots=True)
class Author:
    """Who makes a change, when and why, for the records."""

    by: str
    comment: str
    at: str
    """RFC 3339."""
    change: str
    """Names the change, in a header of each of its records."""


@dataclass(frozen=True, slots=True)
class WritePlan:
    """The records of one write."""

    results: list[HookRecord]
    """For each wanted change the revision in force afterwards, written now or before."""
    written: list[HookRecord]
    """Those of them that are new."""
    audits: list[AuditRecord]
    """One for each new revision."""

    def hook_records(self) -> list[Written]:
        """The records of the definitions' topic. Raises `NotWrittenError` if one is too large."""
        found = []
        for record in self.written:
            try:
                found.append(record.write())
            except InvalidValue as invalid:
                raise NotWrittenError(
                    f"hook {record.hook_id}: {invalid.message} ({invalid.hint})"
                ) from invalid
        return found

    def audit_records(self) -> list[Written]:
        """The records of the audit topic."""
        return [audit.write() for audit in self.audits]


def plan_write(
    table: LiveTable,
    changes: Sequence[WantedChange],
    author: Author,
    earlier: Mapping[str, int] = MappingProxyType({}),
) -> WritePlan:
    """Plan the changes, all or none.

    `earlier`: revisions of hooks whose good records were compacted away behind an unreadable one.

    Raises:
        ConflictError: with every definition that has changed since its author saw it.
        NotWrittenError: the changes contradict themselves.
    """
    _check(changes)
    conflicts = [found for change in changes if (found := _conflict(table, change)) is not None]
    if conflicts:
        raise ConflictError(conflicts)
    plan = WritePlan([], [], [])
    for change in changes:
        if _changes_nothing(table, change):
            nothing = HookRecord(change.hook_id, 0, None)
            plan.results.append(table.records.get(change.hook_id, nothing))
            continue
        record = HookRecord(
            change.hook_id,
            max(table.next_revision(change.hook_id), earlier.get(change.hook_id, 0) + 1),
            change.definition,
            at=author.at,
            by=author.by,
            comment=author.comment,
            change=author.change,
        )
        plan.results.append(record)
        plan.written.append(record)
        plan.audits.append(_audit(table, change, record))
    return plan


def _check(changes: Sequence[WantedChange]) -> None:
    seen = set[str]()
    for change in changes:
        if change.hook_id in seen:
            raise NotWrittenError(
                f"hook {change.hook_id} is changed twice in one write: write one after the other"
            )
        seen.add(change.hook_id)
        if change.definition is not None and change.definition.get("id") != change.hook_id:
            raise NotWrittenError(
                f"hook {change.hook_id}: its definition has another id: delete this hook and "
                "create the other one"
            )
        try:
            orjson.dumps(change.definition)
        except TypeError as error:  # an integer of more than 64 bits, or half a surrogate pair
            raise NotWrittenError(
                f"hook {change.hook_id}: its definition cannot be kept as JSON ({error}): write "
                "the value as text"
            ) from error


def _conflict(table: LiveTable, change: WantedChange) -> Conflict | None:
    newest = table.revision(change.hook_id)
    if change.seen is None or change.seen == newest:
        return None
    record = table.records.get(change.hook_id)
    if record is None:
        return Conflict(change.hook_id, change.seen, newest)
    return Conflict(change.hook_id, change.seen, newest, by=record.by, at=record.at)


def _changes_nothing(table: LiveTable, change: WantedChange) -> bool:
    if change.hook_id in table.unreadable:  # any good record puts it right
        return False
    current = _definition(table, change.hook_id)
    if current is None or change.definition is None:
        return current is change.definition
    return _same(current, change.definition)


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two definitions are equal as JSON; Python takes `1`, `1.0` and `true` for equal."""
    if one != other:
        return False
    options = orjson.OPT_SORT_KEYS
    return orjson.dumps(one, option=options) == orjson.dumps(other, option=options)


def _audit(table: LiveTable, change: WantedChange, record: HookRecord) -> AuditRecord:
    return AuditRecord(
        at=record.at,
        by=record.by,
        action=_action(table, change),
        hook=record.hook_id,
        revision=record.revision,
        before=_definition(table, record.hook_id),
        after=record.definition,
        comment=record.comment,
        change=record.change,
    )


def _action(table: LiveTable, change: WantedChange) -> Action:
    if change.definition is None:
        return Action.DELETED
    if change.restored:
        return Action.RESTORED
    return Action.CHANGED if table.revision(change.hook_id) else Action.CREATED


def _definition(table: LiveTable, hook_id: str) -> Mapping[str, Any] | None:
    record = table.records.get(hook_id)
    return None if record is None else record.definition
