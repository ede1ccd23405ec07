"""Every definition in force, of files and of the topic: one table that both change."""

from collections.abc import Collection, Mapping, Sequence
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
        base = self.view
        changed = ids_of(config.definitions.changes(self._config.definitions))
        plan = self.live.plan_reload(
            config.definitions.hooks, changed, config.new_context(), base.hooks
        )
        return PreparedReload(config, plan, self._store.prepare(plan.changes, base))

    def reload(self, reload: PreparedReload) -> Prepared:
        """Put a reload in force."""
        self._config = reload.config
        prepared = reload.prepared
        if not self.live.adopt(reload.plan) or prepared.base is not self.view:
            prepared = self.prepare(reload.plan.ids)
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

    def take(self, done: CompiledRecords) -> set[str]:
        """Take the next records of the topic, which must be current; returns the hooks that may
        differ from now on.
        """
        return self.live.take(done.compiled, done.secrets)

    def prepare(self, ids: Collection[str]) -> Prepared:
        """Make the next view, in which these hooks are as they should be; in any thread."""
        base = self.view
        return self._store.prepare(self.live.changes(ids, base.hooks), base)

    def apply(self, prepared: Prepared, ids: Collection[str]) -> Prepared:
        """Put a view in force that was prepared for these hooks; returns the one that fits, if
        another one came into force since.
        """
        if prepared.base is not self.view:
            prepared = self.prepare(ids)
        self._store.apply(prepared)
        return prepared
