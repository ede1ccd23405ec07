"""`hookstream explain`: for each hook whether it fires for an event, or what stops it."""

from collections.abc import Iterable, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from consumer.cli.console import output, print_json
from consumer.events.model import Event
from consumer.hooks.table import Hook
from consumer.logs import printable
from consumer.matching.explain import Explanation, explain


def show(event: Event, hooks: Iterable[Hook]) -> None:
    """Print an explanation of each hook, those that fire first."""
    found = sorted(
        (explain(hook, event) for hook in hooks),
        key=lambda each: (each.stop is not None, each.hook_id),
    )
    console = output()
    if console.is_terminal:
        console.print(_table(found))
        fires = sum(each.stop is None for each in found)
        console.print(f"{event.trigger} {printable(event.id)}: {fires} of {len(found)} fire")
        return
    for each in found:
        fires = each.stop is None
        print_json({"hook": each.hook_id, "fires": fires, "stop": each.stop, "detail": each.detail})


def _table(found: Sequence[Explanation]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("hook", "stopped by", "why"):
        table.add_column(heading, overflow="fold")
    for each in found:
        stop = Text("fires", "bold green") if each.stop is None else Text(each.stop)
        table.add_row(Text(each.hook_id, "bold"), stop, Text(printable(each.detail)))
    return table
