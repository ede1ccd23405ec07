"""`hookstream hooks list`: the live definitions and their states."""

from rich import box
from rich.table import Table
from rich.text import Text

from consumer.cli.console import output, print_json, print_note
from consumer.cli.hooks_topics import read_table
from consumer.control.records import HookRecord
from consumer.logs import printable
from consumer.services.catalogue import Catalogue, HookEntry, HookState
from consumer.services.checker import Checker
from consumer.services.file_hooks import ids_in_files
from consumer.settings import Settings

_STYLES = {HookState.ON: "green", HookState.OFF: "dim", HookState.PROBLEM: "bold red"}


def show_hooks(settings: Settings) -> None:
    """Print the live definitions, by id. Raises `HookstreamError`."""
    table, catalogue = read_table(settings.kafka), Catalogue(Checker(settings))
    rows = list(catalogue.live_entries(table, ids_in_files(settings)))
    console = output()
    if not console.is_terminal:
        for row in rows:
            print_json(
                {
                    "hook": row.hook_id,
                    "state": row.state,
                    "trigger": row.hook.trigger if row.hook is not None else None,
                    "revision": row.revision,
                    "by": row.record.by if row.record is not None else "",
                    "at": row.record.at if row.record is not None else "",
                    "problem": row.problem or None,
                }
            )
    elif rows:
        console.print(_table(rows))
    if not rows:
        print_note("no live definitions")


def _table(rows: list[HookEntry]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("hook", "state", "trigger"):
        table.add_column(heading, overflow="fold")
    table.add_column("revision", justify="right")
    for heading in ("by", "at", "problem"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        record = row.record or HookRecord(row.hook_id, 0, None)
        trigger = row.hook.trigger if row.hook is not None else ""
        texts = (trigger, str(record.revision or ""), record.by, record.at)
        table.add_row(
            Text(printable(row.hook_id), "bold"),
            Text(row.state, _STYLES[row.state]),
            *(Text(printable(text)) for text in (*texts, row.problem)),
        )
    return table
