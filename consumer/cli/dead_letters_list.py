"""`hookstream dead-letters list`: a table for people, JSON lines for programs."""

from collections.abc import AsyncIterable, Iterable
from contextlib import aclosing

import orjson
import typer
from rich import box
from rich.table import Table
from rich.text import Text

from consumer.cli.console import output, print_note
from consumer.cli.dead_letters import DEFAULT_LIST_LIMIT
from consumer.cli.process import run_on_loop
from consumer.logs import printable
from consumer.services.dead_letters import FOREIGN_LABEL, facts, newest
from consumer.services.times import rfc3339
from consumer.settings import KafkaSettings
from consumer.stream.dead_letters import DeadLetterReader, DeadLetterRecord, Selection


def show(selection: Selection, limit: int | None, settings: KafkaSettings) -> None:
    """Print the newest `limit` dead letters of `selection`. Raises `HookstreamError`."""
    run_on_loop(lambda: _show(selection, limit, settings))


async def _show(selection: Selection, limit: int | None, settings: KafkaSettings) -> None:
    async with DeadLetterReader(settings) as reader:
        if not reader.exists:
            print_note(f"no dead letters: there is no topic {reader.topic} yet")
            return
        starts = await reader.starts(selection.since)
        async with aclosing(reader.read(starts, reader.ends)) as dead_letters:
            chosen = (
                dead_letter async for dead_letter in dead_letters if selection.matches(dead_letter)
            )
            if output().is_terminal:
                found = await _print_table(chosen, limit or DEFAULT_LIST_LIMIT)
            else:
                found = await _print_lines(chosen, limit)
        note_others(reader)
    if not found:
        print_note("no dead letters" if selection == Selection() else "no such dead letters")


def note_others(reader: DeadLetterReader) -> None:
    """Print how many dead letters were left out, and their group or the reason."""
    for number, offset in sorted(reader.unreadable.items()):
        print_note(f"{reader.topic}/{number} cannot be read from the offset {offset} on: left out")
    for group, count in reader.skipped_foreign.most_common():
        print_note(f"{count:,} of the group {printable(group)} left out: see kafka.group_id")


async def _print_lines(dead_letters: AsyncIterable[DeadLetterRecord], limit: int | None) -> int:
    """Print one JSON object a line; without a limit nothing is kept in memory."""
    if limit is not None:
        kept, counts = await newest(dead_letters, limit)
        for dead_letter in kept:
            typer.echo(orjson.dumps(facts(dead_letter)))
        return counts.total()
    found = 0
    async for dead_letter in dead_letters:
        typer.echo(orjson.dumps(facts(dead_letter)))
        found += 1
    return found


async def _print_table(dead_letters: AsyncIterable[DeadLetterRecord], limit: int) -> int:
    kept, counts = await newest(dead_letters, limit)
    if kept:
        console = output()
        console.print(_table(kept))
        console.print(counts_table(counts.most_common(), ("hook", "reason")))
        if (more := counts.total() - len(kept)) > 0:
            console.print(f"the newest {len(kept)} of {counts.total()}; {more} more with --limit")
    return counts.total()


def _table(dead_letters: Iterable[DeadLetterRecord]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("time (UTC)", no_wrap=True)
    for heading in ("hook", "reason", "status"):
        table.add_column(heading, overflow="fold")
    table.add_column("attempts", justify="right")
    for heading in ("source", "delivery id", "detail"):
        table.add_column(heading, overflow="fold")
    for dead_letter in dead_letters:
        table.add_row(*(Text(printable(cell)) for cell in _cells(dead_letter)))
    return table


def _cells(dead_letter: DeadLetterRecord) -> Iterable[str]:
    yield (rfc3339(dead_letter.timestamp / 1000) or "")[:19].replace("T", " ")
    metadata = dead_letter.metadata
    if metadata is None:
        yield from ("", FOREIGN_LABEL, "", "", dead_letter.record_ref, "", "")
        return
    yield from (metadata.hook, metadata.reason, metadata.last_status, str(metadata.attempts))
    yield from (metadata.source, metadata.delivery_id)
    again = f"replayed from {metadata.replay.replayed_from}" if metadata.replay else ""
    yield "; ".join(part for part in (metadata.detail, again) if part)


def counts_table(counts: Iterable[tuple[Iterable[str], int]], headings: Iterable[str]) -> Table:
    """A table of counts with a column for each heading."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("count", justify="right")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for names, count in counts:
        table.add_row(f"{count:,}", *(Text(printable(name)) for name in names))
    return table
