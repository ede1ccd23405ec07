"""Prints the demo's summary."""

from collections.abc import Mapping
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

from consumer.demo.numbers import Numbers
from consumer.demo.view import LATENCY_LEGEND

_NEXT = (
    ("hookstream check", "are your own settings and hooks right?"),
    ("hookstream sample HOOK", "what will a hook send?"),
    ("docker compose up", "the same with a real Kafka, and Prometheus"),
)


@dataclass(frozen=True, slots=True)
class Costs:
    """The demo's cost."""

    seconds: float
    cpu: float
    """CPU seconds of the daemon."""
    requests: int
    """HTTP requests, including retries."""


def print_summary(console: Console, numbers: Numbers, hooks: Table, costs: Costs) -> None:
    """Print the hooks' table, the totals, and what to look at next."""
    console.print(Text("summary", "bold cyan"), hooks, Text(f"{LATENCY_LEGEND}\n", "dim"))
    console.print(_rows(_facts(numbers, costs)))
    console.print(Text("\nwhat to look at next", "bold cyan"))
    console.print(_rows(_NEXT))


def _facts(numbers: Numbers, costs: Costs) -> tuple[tuple[str, str], ...]:
    written = numbers.retried + numbers.overflowed + numbers.dead_lettered
    deliveries = numbers.delivered + written
    share, each = costs.cpu / costs.seconds, costs.cpu / max(deliveries, 1) * 1e6
    return (
        ("events", f"{sum(numbers.events.values()):,} ({_listed(numbers.events)})"),
        ("delivered", f"{numbers.delivered:,} ({numbers.delivered / costs.seconds:,.0f}/s)"),
        ("retried", f"{numbers.retried:,} times through a retry topic"),
        ("overflowed", f"{numbers.overflowed:,} waited until their receiver took more"),
        ("dead letters", f"{numbers.dead_lettered:,} ({_listed(numbers.reasons) or 'none'})"),
        ("CPU", f"{share:.0%} of a core; {each:,.0f} µs a delivery, {costs.requests:,} requests"),
    )


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _rows(rows: tuple[tuple[str, str], ...]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in rows:
        table.add_row(name, Text(text))
    return table
