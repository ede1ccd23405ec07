"""`hookstream hooks list --replicas`: whether the newest definitions are in force everywhere."""

from collections.abc import Iterable
from datetime import datetime

from rich import box
from rich.table import Table
from rich.text import Text

from consumer.cli.console import output, print_json, print_note
from consumer.cli.hooks_topics import read_table, read_topic
from consumer.clock import SystemClock
from consumer.control.status import GONE_SECONDS, STATUS_SECONDS, ReplicaStatus, read_status
from consumer.errors import InvalidValue
from consumer.logs import printable
from consumer.records.record import Record
from consumer.settings import KafkaSettings, Settings


def show_replicas(settings: Settings) -> None:
    """Print each replica that runs, and what is in force there. Raises `HookstreamError`."""
    newest = read_table(settings.kafka).next_offset - 1
    replicas = _running(_read_statuses(settings.kafka), SystemClock().now())
    console = output()
    if console.is_terminal and replicas:
        console.print(_table(replicas, newest))
    elif not console.is_terminal:
        for replica in replicas:
            print_json(_facts(replica, newest))
    if not replicas:
        print_note(f"no replica has told its status within {GONE_SECONDS:.0f} s")
        return
    late = [replica for replica in replicas if not _is_current(replica, newest)]
    if late:
        print_note(
            f"{len(late)} of {len(replicas)} had not applied the newest record when they last told "
            f"their status, which they do every {STATUS_SECONDS:.0f} s"
        )
    elif console.is_terminal:
        console.print("the newest definitions are in force at every replica")


def _read_statuses(settings: KafkaSettings) -> list[ReplicaStatus]:
    """The newest status of each replica that did not stop in order."""
    found: dict[bytes | None, ReplicaStatus] = {}

    def take(record: Record) -> None:
        found.pop(record.key, None)
        try:
            status = read_status(record.key, record.value)
        except InvalidValue:
            return  # of a newer version
        if status is not None:
            found[record.key] = status

    read_topic(settings, settings.own_topics.status, take, found.clear)
    return sorted(found.values(), key=lambda status: status.replica)


def _running(statuses: Iterable[ReplicaStatus], now: float) -> list[ReplicaStatus]:
    return [one for one in statuses if now - _seconds(one.at) <= GONE_SECONDS]


def _seconds(at: str) -> float:
    """Epoch seconds of an RFC 3339 time; 0 if it is none."""
    try:
        return datetime.fromisoformat(at).timestamp()
    except ValueError:
        return 0.0


def _is_current(replica: ReplicaStatus, newest: int) -> bool:
    return replica.hooks_offset >= newest


def _facts(replica: ReplicaStatus, newest: int) -> dict[str, object]:
    return {
        "replica": replica.replica,
        "version": replica.version,
        "started_at": replica.started_at,
        "at": replica.at,
        "in_force": _is_current(replica, newest),
        "hooks": replica.hooks,
        "hooks_offset": replica.hooks_offset,
        "newest_offset": newest,
        "problems": [{"hook": one.hook, "message": one.message} for one in replica.problems],
    }


def _table(replicas: Iterable[ReplicaStatus], newest: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("replica", "version", "started", "newest in force"):
        table.add_column(heading, overflow="fold")
    table.add_column("hooks", justify="right")
    table.add_column("problems", overflow="fold")
    for replica in replicas:
        current = _is_current(replica, newest)
        problems = [f"{one.hook}: {one.message}" for one in replica.problems]
        table.add_row(
            Text(printable(replica.replica), "bold"),
            printable(replica.version),
            printable(replica.started_at),
            Text("yes" if current else f"no, {replica.hooks_offset} of {newest}",
                 "green" if current else "yellow"),
            f"{replica.hooks:,}",
            Text("\n".join(map(printable, problems))),
        )  # fmt: skip
    return table
