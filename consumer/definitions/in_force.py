"""Every definition in force, of files and of the topic: one table that both change."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from consumer.configuration import Config
from consumer.control.compiled import Compiled, compile_record
from consumer.control.live_definitions import LiveDefinitions, ReloadPlan
from consumer.hooks.source import ids_of
from consumer.matching.index import Index
from consumer.matching.store import HookStore, Prepared
from consumer.records.record import Record


@dataclass(frozen=True, slots=True)
class PreparedReload:
    """What new files and settings make of the definitions; nothing of it is in force yet."""

    config: Config
    plan: ReloadPlan
    prepared: Prepared


@dataclass(frozen=True, slots=True)
class CompiledRecords:
    """What records of the topic mean, with the settings of `config`."""

    config: Config
    compiled: Sequence[Compiled]
    secrets: Mapping[tuple[str, str], str]


class DefinitionsInForce:
    """The table of hooks, changed by reloads and by records of the topic.

    `prepare_reload` and `compile` change nothing and run in threads; what they found out is put in
    force on the event loop's thread, and fits whatever came into force meanwhile.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._store = HookStore(config.definitions.changes(None))
        self.live = LiveDefinitions(config.definitions.hooks)

    @property
    def view(self) -> Index:
        """The hooks in force."""
        return self._store.view

    def prepare_reload(self, config: Config) -> PreparedReload:
        """Find out what these files and settings change."""
        changed = ids_of(config.definitions.changes(self._config.definitions))
        plan = self.live.plan_reload(
            config.definitions.hooks, changed, config.new_context(), self.view.hooks
        )
        return PreparedReload(config, plan, self._store.prepare(plan.changes))

    def reload(self, reload: PreparedReload) -> Prepared:
        """Put a reload in force."""
        self._config = reload.config
        prepared = reload.prepared
        if not self.live.adopt(reload.plan) or prepared.base is not self.view:
            changes = self.live.changes(reload.plan.ids, self.view.hooks)
            prepared = self._store.prepare(changes)
        self._store.apply(prepared)
        return prepared

    def compile(self, records: Sequence[Record]) -> CompiledRecords:
        """Make hooks of records; their secrets are read anew."""
        config = self._config
        context = config.new_context()
        compiled = [compile_record(record, context) for record in records]
        return CompiledRecords(config, compiled, context.secrets)

    def is_current(self, done: CompiledRecords) -> bool:
        """Whether no reload came since, maybe with other secrets."""
        return done.config is self._config

    def apply(self, done: CompiledRecords) -> Prepared:
        """Put the next records of the topic in force; `done` must be current."""
        ids = self.live.take(done.compiled, done.secrets)
        prepared = self._store.prepare(self.live.changes(ids, self.view.hooks))
        self._store.apply(prepared)
        return prepared
