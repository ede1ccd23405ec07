"""`hookstream hooks list --replicas`: whether the newest definitions are in force everywhere."""

from collections.abc import Iterable

from rich import box
from rich.table import Table
from rich.text import Text

from consumer.cli.console import output, print_json, print_note
from consumer.cli.hooks_topics import read_table
from consumer.cli.process import run_on_loop
from consumer.clock import SystemClock
from consumer.control.status import GONE_SECONDS, STATUS_SECONDS
from consumer.logs import printable
from consumer.services.replicas import Replica, StatusTable
from consumer.services.topics import read_topic
from consumer.settings import KafkaSettings, Settings


def show_replicas(settings: Settings) -> None:
    """Print each replica that runs, and what is in force there. Raises `HookstreamError`."""
    newest = read_table(settings.kafka).next_offset - 1
    statuses = run_on_loop(lambda: _read_statuses(settings.kafka))
    replicas = [Replica(one, newest) for one in statuses.running(SystemClock().now())]
    console = output()
    if console.is_terminal and replicas:
        console.print(_table(replicas))
    elif not console.is_terminal:
        for replica in replicas:
            print_json(_facts(replica))
    if not replicas:
        print_note(f"no replica has told its status within {GONE_SECONDS:.0f} s")
        return
    late = [replica for replica in replicas if not replica.is_current]
    if late:
        print_note(
            f"{len(late)} of {len(replicas)} had not applied the newest record when they last told "
            f"their status, which they do every {STATUS_SECONDS:.0f} s"
        )
    elif console.is_terminal:
        console.print("the newest definitions are in force at every replica")


async def _read_statuses(settings: KafkaSettings) -> StatusTable:
    table = StatusTable()
    await read_topic(settings, settings.own_topics.status, table.take, table.clear)
    return table


def _facts(replica: Replica) -> dict[str, object]:
    status = replica.status
    return {
        "replica": status.replica,
        "version": status.version,
        "started_at": status.started_at,
        "at": status.at,
        "in_force": replica.is_current,
        "hooks": status.hooks,
        "hooks_offset": status.hooks_offset,
        "newest_offset": replica.newest_offset,
        "problems": [{"hook": one.hook, "message": one.message} for one in status.problems],
    }


def _table(replicas: Iterable[Replica]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("replica", "version", "started", "newest in force"):
        table.add_column(heading, overflow="fold")
    table.add_column("hooks", justify="right")
    table.add_column("problems", overflow="fold")
    for replica in replicas:
        status, current = replica.status, replica.is_current
        problems = [f"{one.hook}: {one.message}" for one in status.problems]
        table.add_row(
            Text(printable(status.replica), "bold"),
            printable(status.version),
            printable(status.started_at),
            Text("yes" if current else f"no, {status.hooks_offset} of {replica.newest_offset}",
                 "green" if current else "yellow"),
            f"{status.hooks:,}",
            Text("\n".join(map(printable, problems))),
        )  # fmt: skip
    return table
