"""`hookstream dead-letters list`: a table for people, JSON lines for programs."""

import heapq
from collections import Counter
from collections.abc import AsyncIterable, Iterable, Mapping
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import typer
from rich import box
from rich.table import Table
from rich.text import Text

from consumer.cli.console import output, print_note
from consumer.cli.dead_letters import SHOWN
from consumer.cli.process import run_on_loop
from consumer.logs import printable
from consumer.settings import KafkaSettings
from consumer.stream.dead_letters import DeadLetter, DeadLetterReader, Selection

FOREIGN = "not written by hookstream"


def show(selection: Selection, limit: int | None, settings: KafkaSettings) -> None:
    """Print the chosen letters, the newest `limit` of them; raises `HookstreamError`."""
    run_on_loop(lambda: _show(selection, limit, settings))


async def _show(selection: Selection, limit: int | None, settings: KafkaSettings) -> None:
    async with DeadLetterReader(settings) as reader:
        if not reader.exists:
            print_note(f"no dead letters: there is no topic {reader.topic} yet")
            return
        starts = await reader.starts(selection.since)
        async with aclosing(reader.read(starts, reader.ends)) as letters:
            chosen = (letter async for letter in letters if selection.takes(letter))
            if output().is_terminal:
                found = await _print_table(chosen, limit or SHOWN)
            else:
                found = await _print_lines(chosen, limit)
        note_others(reader)
    if not found:
        print_note("no dead letters" if selection == Selection() else "no such dead letters")


def note_others(reader: DeadLetterReader) -> None:
    """Say how many letters were left out, and whose they are or why."""
    for number, offset in sorted(reader.unreadable.items()):
        print_note(f"{reader.topic}/{number} cannot be read from the offset {offset} on: left out")
    for group, count in reader.passed_over.most_common():
        print_note(f"{count:,} of the group {printable(group)} left out: see kafka.group_id")


async def _print_lines(letters: AsyncIterable[DeadLetter], limit: int | None) -> int:
    """One JSON object a line; without a limit nothing is kept in memory."""
    if limit is not None:
        kept, counts = await newest(letters, limit)
        for letter in kept:
            typer.echo(orjson.dumps(facts(letter)))
        return counts.total()
    found = 0
    async for letter in letters:
        typer.echo(orjson.dumps(facts(letter)))
        found += 1
    return found


async def _print_table(letters: AsyncIterable[DeadLetter], limit: int) -> int:
    kept, counts = await newest(letters, limit)
    if kept:
        console = output()
        console.print(_table(kept))
        console.print(counts_table(counts.most_common(), ("hook", "reason")))
        if (more := counts.total() - len(kept)) > 0:
            console.print(f"the newest {len(kept)} of {counts.total()}; {more} more with --limit")
    return counts.total()


async def newest(
    letters: AsyncIterable[DeadLetter], limit: int
) -> tuple[list[DeadLetter], Counter[tuple[str, ...]]]:
    """The newest `limit` letters, the newest last, and a count of all by hook and reason.

    What is kept has its size in memory bounded: values and headers are cut off as soon as they
    are counted.
    """
    heap: list[tuple[tuple[int, int, int], DeadLetter]] = []
    counts: Counter[tuple[str, ...]] = Counter()
    async for letter in letters:
        passport = letter.passport
        counts[(passport.hook, passport.reason) if passport else ("", FOREIGN)] += 1
        entry = letter.age_order, replace(letter, value=None, headers=())
        if len(heap) < limit:
            heapq.heappush(heap, entry)
        else:
            heapq.heappushpop(heap, entry)
    return [letter for _, letter in sorted(heap, key=lambda entry: entry[0])], counts


def facts(letter: DeadLetter) -> Mapping[str, Any]:
    """Everything about a letter but the event itself. Times are RFC 3339."""
    known: dict[str, Any] = {
        "time": rfc3339(letter.timestamp / 1000),
        "partition": letter.partition,
        "offset": letter.offset,
        "key": letter.key.decode(errors="backslashreplace") if letter.key is not None else None,
        "value_bytes": letter.value_bytes,
        "foreign": letter.passport is None,
    }
    passport = letter.passport
    if passport is not None:
        known |= {
            "hook": passport.hook or None,
            "reason": passport.reason,
            "delivery_id": passport.delivery_id or None,
            "attempts": passport.attempts,
            "last_status": passport.last_status or None,
            "first_failed_at": rfc3339(passport.first_failed_at),
            "source": passport.source,
            "source_time": rfc3339(passport.timestamp / 1000),
            "trigger": passport.trigger or None,
            "detail": passport.detail or None,
            "replayed_from": passport.replay.origin if passport.replay else None,
            "replayed_at": rfc3339(passport.replay.at if passport.replay else None),
        }
    return known


def _table(letters: Iterable[DeadLetter]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("time (UTC)", no_wrap=True)
    for heading in ("hook", "reason", "status"):
        table.add_column(heading, overflow="fold")
    table.add_column("attempts", justify="right")
    for heading in ("source", "delivery id", "detail"):
        table.add_column(heading, overflow="fold")
    for letter in letters:
        table.add_row(*(Text(printable(cell)) for cell in _cells(letter)))
    return table


def _cells(letter: DeadLetter) -> Iterable[str]:
    yield (rfc3339(letter.timestamp / 1000) or "")[:19].replace("T", " ")
    passport = letter.passport
    if passport is None:
        yield from ("", FOREIGN, "", "", letter.place, "", "")
        return
    yield from (passport.hook, passport.reason, passport.last_status, str(passport.attempts))
    yield from (passport.source, passport.delivery_id)
    again = f"replayed from {passport.replay.origin}" if passport.replay else ""
    yield "; ".join(part for part in (passport.detail, again) if part)


def counts_table(counts: Iterable[tuple[Iterable[str], int]], headings: Iterable[str]) -> Table:
    """How many of what."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("letters", justify="right")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for names, count in counts:
        table.add_row(f"{count:,}", *(Text(printable(name)) for name in names))
    return table


def rfc3339(moment: float | None) -> str | None:
    """Epoch seconds as text; a number that is no time, which anybody may write, stays one."""
    if moment is None:
        return None
    try:
        text = datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")
    except (OverflowError, ValueError, OSError):
        return str(moment)
    return text.replace("+00:00", "Z")
