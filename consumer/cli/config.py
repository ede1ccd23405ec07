"""The hooks that a command is about."""

from consumer.cli.console import print_note
from consumer.cli.options import choose_id
from consumer.configuration import Config
from consumer.control.records import HookRecord
from consumer.errors import ConfigError
from consumer.hooks.load_context import LoadContext
from consumer.hooks.loading import load_definition
from consumer.hooks.table import Hook


def find_hook(config: Config, id: str, *, live: bool) -> Hook:
    """The hook of this id, from the files or from the topic of live definitions.

    Raises:
        typer.BadParameter: there is none; names the nearest id.
        HookstreamError: the topic cannot be read, or the definition in it is refused.
    """
    if live:
        return _find_live_hook(config, id)
    hint = "; live ones are looked at with --live" if config.settings.hooks.live else ""
    hooks = config.definitions.hooks
    return hooks[choose_id(hooks, id, hint)]


def all_hooks(config: Config, *, live: bool) -> list[Hook]:
    """All hooks of the files, or of the topic of live definitions; of those that are refused a note
    is printed.

    Raises:
        HookstreamError: the topic cannot be read.
    """
    if not live:
        if config.settings.hooks.live:
            print_note("live definitions are looked at with --live")
        return list(config.definitions.hooks.values())
    found, context = list[Hook](), config.new_context()
    for record in _live_records(config).values():
        try:
            found.append(_load(config, record, context))
        except ConfigError as error:
            print_note(f"hook {record.hook_id} left out: {'; '.join(map(str, error.diagnostics))}")
    return found


def _find_live_hook(config: Config, id: str) -> Hook:
    records = _live_records(config)
    return _load(config, records[choose_id(records, id)], config.new_context())


def _live_records(config: Config) -> dict[str, HookRecord]:
    # Kafka's client takes long to import, and without the flag the command needs none.
    from consumer.cli.hooks_topics import read_table

    table = read_table(config.settings.kafka)
    return {known: table.records[known] for known in sorted(table.records) if table.revision(known)}


def _load(config: Config, record: HookRecord, context: LoadContext) -> Hook:
    name = f"{config.settings.kafka.own_topics.hooks}, revision {record.revision}"
    return load_definition(record.definition, context, name)
