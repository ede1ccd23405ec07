"""`hookstream explain`: for each hook whether it fires for an event, or what stops it."""

from collections.abc import Iterable, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from consumer.cli.console import output, print_json
from consumer.delivery.http.origins import Origin, RequestValue
from consumer.events.model import Event
from consumer.hooks.table import Hook
from consumer.logs import printable
from consumer.matching.explain import Explanation, explain
from consumer.services.explained import explain_hook, value_facts

_FOLLOWS = {"omit": "left out", "empty": "sent without a value", "reject": "rejects the delivery"}


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
        print_json(_facts(each))


def show_one(event: Event, hook: Hook) -> None:
    """Print an explanation of one hook, and each value of its request if it fires."""
    found, console = explain_hook(hook, event), output()
    if not console.is_terminal:
        values = [value_facts(value, user_data=True) for value in found.values]
        more = {"values": values, "rejection": found.rejection or None}
        print_json(_facts(found.explanation) | (more if found.explanation.stop is None else {}))
        return
    console.print(_table([found.explanation]))
    if found.values:
        console.print(_values_table(found.values))
    if found.rejection:
        console.print(Text(f"the delivery is rejected: {printable(found.rejection)}", "bold red"))


def _facts(found: Explanation) -> dict[str, object]:
    fires = found.stop is None
    return {
        "hook": found.hook_id,
        "fires": fires,
        "stop": found.stop,
        "detail": found.detail,
        "condition": found.condition or None,
        "value": found.value,
        "order": found.order or None,
    }


def _table(found: Sequence[Explanation]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("hook", "stopped by", "why"):
        table.add_column(heading, overflow="fold")
    for each in found:
        stop = Text("fires", "bold green") if each.stop is None else Text(each.stop)
        value = "" if each.value is None else f"; it is {each.value}"
        why = f"{each.detail or each.order}{value}"
        table.add_row(Text(each.hook_id, "bold"), stop, Text(printable(why)))
    return table


def _values_table(values: Iterable[RequestValue]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("part", "name", "value", "from"):
        table.add_column(heading, overflow="fold")
    for value in values:
        table.add_row(value.part, Text(printable(value.name), "bold"), _shown(value), _from(value))
    return table


def _shown(value: RequestValue) -> Text:
    if value.rejection:
        return Text(printable(value.rejection), "bold red")
    if value.follows is not None:
        style = "bold red" if value.follows == "reject" else "yellow"
        return Text(f"missing: {_FOLLOWS[value.follows]}", style)
    return Text("not shown", "dim") if value.is_hidden else Text(printable(value.text or ""))


def _from(value: RequestValue) -> Text:
    if value.origin is Origin.NOWHERE:
        return Text(printable("nothing in " + ", ".join(value.looked_at)))
    return Text(printable(" ".join(part for part in (value.origin, value.reference) if part)))
