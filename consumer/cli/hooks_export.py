"""`hookstream hooks export`: live definitions as YAML that `hookstream hooks apply` reads."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from consumer.cli.console import output, print_note
from consumer.cli.hooks_topics import read_table
from consumer.cli.options import choose_id
from consumer.control.difference import definition_yaml
from consumer.control.live_table import LiveTable
from consumer.errors import HookstreamError
from consumer.hooks.texts import is_hook_id
from consumer.settings import Settings


def export_hooks(settings: Settings, hook_ids: Sequence[str], folder: Path | None) -> None:
    """Write definitions into files of a folder, or to standard output; all if none is named.

    Raises:
        HookstreamError: a file cannot be written.
    """
    definitions = _definitions(read_table(settings.kafka), hook_ids)
    if folder is None:
        typer.echo("---\n".join(map(definition_yaml, definitions.values())), nl=False)
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for hook_id, definition in definitions.items():
            (folder / f"{hook_id}.yaml").write_text(definition_yaml(definition), "utf-8")
    except OSError as error:
        raise HookstreamError(f"{folder} cannot be written: {error.strerror}") from error
    output().print(f"{len(definitions):,} written to {folder}", soft_wrap=True)


def _definitions(table: LiveTable, hook_ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """By id, in its order."""
    found: dict[str, Mapping[str, Any]] = {}
    live = sorted(hook_id for hook_id in table.records if table.revision(hook_id))
    for hook_id in [choose_id(live, hook_id) for hook_id in hook_ids] or live:
        if hook_id in table.unreadable:
            print_note(f"hook {hook_id}: its newest record cannot be read; the one before it is")
        # Who may write the topic may write any key, such as a path.
        if is_hook_id(hook_id):
            found[hook_id] = table.records[hook_id].definition or {}
        else:
            print_note(f"left out: {hook_id!r} is not a hook id")
    if not found:
        print_note("no live definitions")
    return found
