"""`hookstream hooks list`: the live definitions and their states."""

from collections.abc import Iterator
from dataclasses import dataclass

from rich import box
from rich.table import Table
from rich.text import Text

from consumer.cli.console import output, print_json, print_note
from consumer.cli.hooks_files import Checker, ids_in_files
from consumer.cli.hooks_topics import read_table
from consumer.control.live_table import LiveTable
from consumer.control.records import HookRecord
from consumer.errors import ConfigError
from consumer.hooks.loading import load_definition
from consumer.logs import printable
from consumer.settings import Settings

_STYLES = {"on": "green", "off": "dim", "problem": "bold red"}


@dataclass(frozen=True, slots=True)
class _Row:
    """One live hook. Texts are empty if they are not known."""

    hook: str
    state: str
    """A key of `_STYLES`."""
    trigger: str
    record: HookRecord
    problem: str


def show_hooks(settings: Settings) -> None:
    """Print the live definitions, by id. Raises `HookstreamError`."""
    rows = list(_rows(read_table(settings.kafka), settings))
    console = output()
    if not console.is_terminal:
        for row in rows:
            print_json(
                {
                    "hook": row.hook,
                    "state": row.state,
                    "trigger": row.trigger or None,
                    "revision": row.record.revision,
                    "by": row.record.by,
                    "at": row.record.at,
                    "problem": row.problem or None,
                }
            )
    elif rows:
        console.print(_table(rows))
    if not rows:
        print_note("no live definitions")


def _rows(table: LiveTable, settings: Settings) -> Iterator[_Row]:
    context, in_files = Checker(settings).context, ids_in_files(settings)
    for hook_id in sorted(table.records.keys() | table.unreadable.keys()):
        record = table.records.get(hook_id) or HookRecord(hook_id, 0, None)
        problem, trigger, enabled = "", "", False
        if record.definition is not None:
            try:
                hook = load_definition(record.definition, context, "")
                trigger, enabled = hook.trigger, hook.enabled
            except ConfigError as error:
                problem = "; ".join(map(str, error.diagnostics))
        elif hook_id not in table.unreadable:
            continue  # deleted
        if (unreadable := table.unreadable.get(hook_id)) is not None:
            problem = f"offset {unreadable.offset} {unreadable.message} ({unreadable.hint})"
        elif hook_id in in_files:
            problem = f"also in {in_files[hook_id]}, which wins"
        state = "problem" if problem else "on" if enabled else "off"
        yield _Row(hook_id, state, trigger, record, problem)


def _table(rows: list[_Row]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("hook", "state", "trigger"):
        table.add_column(heading, overflow="fold")
    table.add_column("revision", justify="right")
    for heading in ("by", "at", "problem"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        texts = (row.trigger, str(row.record.revision or ""), row.record.by, row.record.at)
        table.add_row(
            Text(printable(row.hook), "bold"),
            Text(row.state, _STYLES[row.state]),
            *(Text(printable(text)) for text in (*texts, row.problem)),
        )
    return table
