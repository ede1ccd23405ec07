"""`hookstream reports`: a table for people, JSON lines for programs."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from consumer.cli.console import output, print_json, print_note
from consumer.cli.process import run_on_loop
from consumer.clock import SystemClock
from consumer.errors import ConfigError
from consumer.journal.report_reader import read_reports
from consumer.journal.report_sums import Report
from consumer.logs import printable
from consumer.services.reports import parse, report_facts
from consumer.settings import Settings


def show(settings: Settings, texts: Mapping[str, str]) -> None:
    """Print the reports that the options name.

    Raises:
        typer.BadParameter: an option is invalid; the message says what is valid.
        HookstreamError: the broker does not answer, or refuses.
    """
    clock, topic = SystemClock(), settings.kafka.own_topics.reports
    try:
        wanted, step = parse(texts, clock.now())
    except ConfigError as error:
        first = error.diagnostics[0]
        hint = f"--{first.field}"
        raise typer.BadParameter(f"{first.message}; {first.hint}", param_hint=hint) from None
    found = run_on_loop(lambda: read_reports(settings.kafka, wanted, step, clock))
    console = output()
    if console.is_terminal and found.reports:
        console.print(_table(found.reports))
    elif not console.is_terminal:
        for report in found.reports:
            print_json(report_facts(report))
    if not found.exists:
        print_note(f"no reports: there is no topic {topic} yet")
    elif not found.reports:
        print_note("no such reports")
    if found.passed_over:
        print_note(f"{found.passed_over:,} other records of {topic} left out")


def _table(reports: Iterable[Report]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("hook", overflow="fold")
    table.add_column("from (UTC)", no_wrap=True)
    numbers = ("delivered", "retried", "overflowed", "dead letters", "attempts", "2xx", "a second")
    for heading in (*numbers, "p50 ms", "p95 ms", "p99 ms"):
        table.add_column(heading, justify="right")
    for report in reports:
        share = report.success_share
        start = datetime.fromtimestamp(report.start, UTC)
        table.add_row(
            Text(printable(report.hook), "bold"),
            f"{start:%Y-%m-%d %H:%M}",
            f"{report.delivered:,}",
            f"{report.retried:,}",
            f"{report.overflowed:,}",
            f"{sum(report.dead_lettered.values()):,}",
            f"{report.attempt_count:,}",
            "" if share is None else f"{share:.1%}",
            f"{report.attempts_per_second:.2f}",
            *(f"{seconds * 1000:,.0f}" for seconds in report.percentiles.values()),
        )
    return table
