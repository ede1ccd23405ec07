"""The hook that a command is about."""

from consumer.cli.options import choose_id
from consumer.configuration import Config
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


def _find_live_hook(config: Config, id: str) -> Hook:
    # Kafka's client takes long to import, and without the flag the command needs none.
    from consumer.cli.hooks_topics import read_table

    kafka = config.settings.kafka
    table = read_table(kafka)
    live = [known for known in table.records if table.revision(known)]
    record = table.records[choose_id(live, id)]
    name = f"{kafka.own_topics.hooks}, revision {record.revision}"
    return load_definition(record.definition, config.new_context(), name)
