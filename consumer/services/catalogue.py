"""Every hook of files and of the topic, with the state that it is in."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Literal

from consumer.control.live_table import LiveTable
from consumer.control.records import HookRecord
from consumer.control.status import ReplicaStatus
from consumer.errors import ConfigError
from consumer.hooks.loading import load_definition
from consumer.hooks.table import Hook
from consumer.services.checker import Checker
from consumer.services.file_hooks import FileDefinition, FileDefinitions


class HookState(StrEnum):
    """Whether a hook fires, and why not."""

    ON = "on"
    OFF = "off"
    """Its definition says `enabled: false`."""
    DISABLED = "disabled"
    """A replica stopped it after answers of 410."""
    CIRCUIT_OPEN = "circuit_open"
    """At a replica its receiver fails, and gets probes only."""
    PROBLEM = "problem"
    """Its newest definition is not in force everywhere."""


@dataclass(frozen=True, slots=True)
class HookEntry:
    """One hook. Texts are empty if they are not known."""

    hook_id: str
    source: Literal["file", "live"]
    state: HookState
    hook: Hook | None
    """None: its definition is refused."""
    definition: Mapping[str, Any] | None
    """As its author wrote it; None: it cannot be read."""
    record: HookRecord | None = None
    """The newest record that can be read; None of a hook in a file."""
    file: str = ""
    """File and line of a definition in a file."""
    problem: str = ""

    @property
    def revision(self) -> int:
        """The revision of a live definition; 0 if it has none."""
        return self.record.revision if self.record is not None else 0

    @property
    def name(self) -> str:
        """Its name for people, also of a definition that is refused."""
        if self.hook is not None:
            return self.hook.name
        name = self.definition.get("name") if self.definition is not None else None
        return name if isinstance(name, str) else ""


@dataclass(frozen=True, slots=True)
class ReplicaReports:
    """What the replicas say of hooks. Each of them names some dozens at most."""

    problems: Mapping[str, str]
    disabled: frozenset[str]
    open_circuits: frozenset[str]

    @classmethod
    def of(cls, statuses: Iterable[ReplicaStatus]) -> "ReplicaReports":
        """What replicas that run say."""
        running = list(statuses)
        return cls(
            {one.hook: one.message for status in running for one in status.problems},
            frozenset(hook for status in running for hook in status.disabled_hooks),
            frozenset(hook for status in running for hook in status.open_circuits),
        )

    def of_entry(self, entry: HookEntry) -> HookEntry:
        """The entry in the state that the replicas say."""
        problem = self.problems.get(entry.hook_id)
        if problem is not None and entry.state is not HookState.PROBLEM:
            return replace(entry, state=HookState.PROBLEM, problem=problem)
        if entry.state is HookState.ON:
            if entry.hook_id in self.disabled:
                return replace(entry, state=HookState.DISABLED)
            if entry.hook_id in self.open_circuits:
                return replace(entry, state=HookState.CIRCUIT_OPEN)
        return entry


class Catalogue:
    """Makes entries of definitions; that of a record is made once."""

    def __init__(self, checker: Checker) -> None:
        self._checker = checker
        self._entries: dict[str, HookEntry] = {}

    def entries(
        self, table: LiveTable, in_files: FileDefinitions, statuses: Iterable[ReplicaStatus]
    ) -> list[HookEntry]:
        """All hooks, by id. Of one that is in both places the file's wins, and says so."""
        reports = ReplicaReports.of(statuses)
        found = {
            entry.hook_id: reports.of_entry(entry)
            for entry in self.live_entries(table, MappingProxyType({}))
        }
        for hook_id, definition in in_files.by_id.items():
            found[hook_id] = reports.of_entry(_file_entry(definition, found.get(hook_id)))
        self._forget(table)
        return [found[hook_id] for hook_id in sorted(found)]

    def entry(
        self,
        hook_id: str,
        table: LiveTable,
        in_files: FileDefinitions,
        statuses: Iterable[ReplicaStatus],
    ) -> HookEntry | None:
        """One hook; None if there is none of that id."""
        found = self._live_entry(table, hook_id)
        if (definition := in_files.by_id.get(hook_id)) is not None:
            found = _file_entry(definition, found)
        return ReplicaReports.of(statuses).of_entry(found) if found is not None else None

    def live_entries(self, table: LiveTable, in_files: Mapping[str, str]) -> Iterator[HookEntry]:
        """The hooks of the topic, by id. `in_files`: where a file defines a hook too."""
        for hook_id in sorted(table.records.keys() | table.unreadable.keys()):
            entry = self._live_entry(table, hook_id)
            if entry is None:
                continue
            if hook_id in in_files and hook_id not in table.unreadable:
                problem = f"also in {in_files[hook_id]}, which wins"
                entry = replace(entry, state=HookState.PROBLEM, problem=problem)
            yield entry

    def _live_entry(self, table: LiveTable, hook_id: str) -> HookEntry | None:
        record, unreadable = table.records.get(hook_id), table.unreadable.get(hook_id)
        entry = self._entry_of(record) if record is not None else None
        if unreadable is None:
            return entry
        problem = f"offset {unreadable.offset} {unreadable.message} ({unreadable.hint})"
        if entry is None:
            return HookEntry(
                hook_id, "live", HookState.PROBLEM, None, None, record, problem=problem
            )
        return replace(entry, state=HookState.PROBLEM, problem=problem)

    def _entry_of(self, record: HookRecord) -> HookEntry | None:
        """The entry of a record; None: it is a deletion."""
        if record.definition is None:
            return None
        known = self._entries.get(record.hook_id)
        if known is None or known.record is not record:
            hook, problem = self._load(record)
            state = _state(hook) if not problem else HookState.PROBLEM
            known = HookEntry(
                record.hook_id, "live", state, hook, record.definition, record, problem=problem
            )
            self._entries[record.hook_id] = known
        return known

    def _load(self, record: HookRecord) -> tuple[Hook | None, str]:
        try:
            return load_definition(record.definition, self._checker.context, ""), ""
        except ConfigError as error:
            return None, "; ".join(map(str, error.diagnostics))

    def _forget(self, table: LiveTable) -> None:
        if len(self._entries) > len(table.records):
            for hook_id in self._entries.keys() - table.records.keys():
                del self._entries[hook_id]


def _file_entry(definition: FileDefinition, live: HookEntry | None) -> HookEntry:
    state, problem = _state(definition.hook), ""
    if definition.hook is None:
        state, problem = HookState.PROBLEM, "; ".join(map(str, definition.problems))
    elif live is not None:
        state = HookState.PROBLEM
        problem = (
            f"the topic has revision {live.revision} of it too, which is not in force: a file's "
            "definition wins (take it out of the file, or delete the live one)"
        )
    return HookEntry(
        definition.hook_id,
        "file",
        state,
        definition.hook,
        definition.data if isinstance(definition.data, dict) else None,
        file=definition.path,
        problem=problem,
    )


def _state(hook: Hook | None) -> HookState:
    return HookState.ON if hook is not None and hook.enabled else HookState.OFF
