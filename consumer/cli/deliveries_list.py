"""`hookstream deliveries list`: a table for people, JSON lines for programs."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import aclosing, nullcontext

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from consumer.cli.console import JsonLines, output, print_note
from consumer.cli.deliveries import DEFAULT_LIST_LIMIT
from consumer.cli.process import run_on_loop
from consumer.clock import SystemClock
from consumer.collector import tune_gc
from consumer.errors import ConfigError
from consumer.journal.log_filter import LogFilter
from consumer.journal.log_search import FoundDelivery, Horizon, Progress
from consumer.journal.records import Followed
from consumer.logs import printable
from consumer.services.broker_watch import BrokerWatch
from consumer.services.deliveries import (
    UNKNOWN_HOOK,
    Deliveries,
    delivery_facts,
    horizon_sentence,
    make_deliveries,
)
from consumer.services.hook_reader import HookReader
from consumer.settings import Settings

FULL_COLUMNS = 130
"""Of a terminal that has all of a delivery in one line, with ids of usual length."""
STYLES = {
    Followed.DELIVERED: "green",
    Followed.RETRY: "yellow",
    Followed.OVERFLOW: "yellow",
    Followed.DEAD_LETTER: "bold red",
}


def show(settings: Settings, texts: Mapping[str, str], limit: int | None, *, as_json: bool) -> None:
    """Print the newest `limit` deliveries. Raises `HookstreamError`."""
    log, as_table = make_deliveries(settings, SystemClock()), output().is_terminal and not as_json
    wanted = parse(log, texts)
    tune_gc()  # else it looks at the rows that are found, again and again
    if as_table:
        limit = limit or DEFAULT_LIST_LIMIT
    found, horizon = run_on_loop(lambda: _show(log, wanted, limit, as_table=as_table))
    print_note(horizon_sentence(horizon))
    if (share := settings.delivery_log.successes) < 1:
        print_note(f"of what succeeds the log has a share of {share:g} (delivery_log.successes)")
    hook = wanted.hook
    if not found and hook is not None and not run_on_loop(lambda: _knows(settings, hook)):
        print_note(UNKNOWN_HOOK)
    if horizon.passed_over:
        print_note(f"{horizon.passed_over:,} other records of {log.topic} left out")
    for number, (first, last) in sorted(horizon.unreadable.items()):
        print_note(f"{log.topic}/{number} cannot be read from {first} to {last}: left out")


def parse(log: Deliveries, texts: Mapping[str, str]) -> LogFilter:
    """The filter that the options name.

    Raises:
        typer.BadParameter: an option is invalid; the message says what is valid.
    """
    try:
        return log.parse(texts)
    except ConfigError as error:
        first = error.diagnostics[0]
        raise typer.BadParameter(
            f"{first.message}; {first.hint}", param_hint=f"--{first.field}"
        ) from None


async def _show(
    log: Deliveries, wanted: LogFilter, limit: int | None, *, as_table: bool
) -> tuple[int, Horizon]:
    """Print what is found. Returns how many, and what was searched."""
    console, found, horizon, count = output(), list[FoundDelivery](), None, 0
    steps = log.search(wanted, limit=limit)
    with console.status("searching") if as_table else nullcontext(), JsonLines() as lines:
        async with aclosing(steps):
            async for step in steps:
                if isinstance(step, Horizon):
                    horizon = step
                elif isinstance(step, Progress):
                    lines.flush()
                else:
                    count += 1
                    if as_table:
                        found.append(step)
                    else:
                        lines.add(delivery_facts(step))
    if found:
        console.print(table(reversed(found), console.width))
        if console.width < FULL_COLUMNS:
            print_note(f"a terminal of {FULL_COLUMNS} columns, or --json, shows more of each")
    assert horizon is not None  # noqa: S101  # each search ends with one
    return count, horizon


async def _knows(settings: Settings, hook_id: str) -> bool:
    """See `HookReader.knows`."""
    watch = BrokerWatch(settings.kafka, SystemClock())
    reader = HookReader(settings, watch.require, SystemClock())
    try:
        return await reader.knows(hook_id)
    finally:
        await reader.close()
        await watch.close()


def table(found: Iterable[FoundDelivery], width: int) -> Table:
    """The deliveries in `width` columns of a terminal."""
    return _full(found) if width >= FULL_COLUMNS else _narrow(found)


def _narrow(found: Iterable[FoundDelivery]) -> Table:
    """What tells deliveries apart, without the year and the milliseconds of their times."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("time (UTC)", no_wrap=True)
    table.add_column("hook", overflow="fold")
    table.add_column("outcome", no_wrap=True)
    table.add_column("status", no_wrap=True)
    table.add_column("delivery id", overflow="fold")
    for one in found:
        at, hook, outcome, status, _, _, delivery, _ = cells(one)
        table.add_row(
            at[len("2026-") : len("2026-11-24 21:05:06")], hook, outcome, status, delivery
        )
    return table


def _full(found: Iterable[FoundDelivery]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("time (UTC)", no_wrap=True)
    table.add_column("hook", overflow="fold")
    table.add_column("outcome", no_wrap=True)
    table.add_column("status", no_wrap=True)
    for heading in ("attempt", "ms"):
        table.add_column(heading, justify="right")
    for heading in ("delivery id", "then"):
        table.add_column(heading, overflow="fold")
    for one in found:
        table.add_row(*cells(one))
    return table


def cells(found: FoundDelivery) -> Iterator[Text]:
    """What a person sees of a delivery, from its time on."""
    record = found.record
    yield Text(printable(record.at[:23].replace("T", " ").rstrip("Z")))
    yield Text(printable(record.hook), "bold")
    yield Text(record.outcome, STYLES[record.outcome])
    yield Text(printable(record.error or str(record.status or "")))
    yield Text(str(record.attempt) if record.attempt else "")
    yield Text(f"{record.ms.all:.0f}" if record.attempt else "")
    yield Text(printable(record.delivery))
    retry_at = f"at {record.retry_at[:19].replace('T', ' ')}" if record.retry_at else ""
    yield Text(printable("; ".join(part for part in (record.reason, retry_at) if part)))
