"""The receivers' own list of requests beside the delivery log: the oracle of every fault test.

`tests/faults/conftest.py` lets each fault test log everything, and compares when the test has
ended: each attempt in the log is a request that a receiver saw with that answer, each request is in
the log, and the reports equal a recount of the log. The log is read by a plain consumer.

A request that got no whole head of an answer is an attempt with an error in the log (`timeout`,
`connect`), or the deferral of a delivery under way (`attempt` 0) at a stop or a revocation. An
attempt that reached no receiver (a refused connection) is in the log alone, so such rows are
compared with requests in one direction. Two rows for one request never match.

| test | compared |
|---|---|
| all that end with an orderly stop, whatever died meanwhile | strictly |
| `test_killed_daemon`, kills of `test_delivery_log` | less the answers between the last row that |
| | was written (and `LOST_SECONDS`) and a kill, and what had no answer then |
| `test_backlog_memory` | less what was answered after the broker had gone |
| `test_broker_away`: a stop without a broker | less what the daemon's last line says it dropped |
| `test_live_writers`, `test_panel_broker_away`, | not: nothing is delivered |
| `test_delivery_log_readers`, `test_reported_day` | |
"""

import time
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import orjson
import pytest

from consumer.journal.records import DeliveryRecord, read_delivery
from support.daemon import Daemon, InProcess
from support.definition_topics import committed
from support.received import parse
from support.receiver import Exchange, Receiver
from support.workspace import Workspace
from support.written_log import read_reports, recounted, summed

LOG_EVERYTHING: Final = {"failures": True, "successes": 1.0}
"""The section `delivery_log` of the settings."""
LOST_SECONDS: Final = 5.0
"""Before the last row of a killed daemon: answers of this time may be missing, too, since a busy
daemon has not looked at each answer that was sent. The log is written once a second."""
_MAYBE_REACHED: Final = {"timeout", "connect", "tls"}
"""Errors of attempts of which the receiver may have seen the request."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sent:
    """One request at a receiver and the status of its answer."""

    hook: str
    delivery: str
    status: int | None
    """None: no whole head of an answer was sent."""
    at: float
    """Epoch seconds of its answer; of now if there is none yet."""


@dataclass
class LogLedger:
    """What receivers saw, and what may excuse a difference, of one test."""

    exchanges: list[Exchange] = field(default_factory=list)
    daemons: list[Daemon] = field(default_factory=list)
    in_process: list[InProcess] = field(default_factory=list)
    lost: list[tuple[float, float]] = field(default_factory=list)
    """Spans of epoch seconds: answers in them may be missing in the log."""
    dropped: int = 0
    """Rows that daemons counted as dropped before they were killed."""

    @classmethod
    def watch(cls, monkeypatch: pytest.MonkeyPatch) -> "LogLedger":
        """A ledger of all receivers and daemons of this test."""
        ledger = cls()
        monkeypatch.setattr(Receiver, "watch", ledger.exchanges.append)
        monkeypatch.setattr(Daemon, "watch", ledger.daemons.append)
        monkeypatch.setattr(InProcess, "watch", ledger.in_process.append)
        return ledger

    @property
    def requests(self) -> list[Sent]:
        """All requests so far."""
        return [_sent(exchange) for exchange in self.exchanges]

    @property
    def all_dropped(self) -> int:
        """Rows that were not written, also those that daemons told of at their stop."""
        told = sum(daemon.log_dropped for daemon in self.daemons)
        return self.dropped + told + sum(daemon.log_dropped for daemon in self.in_process)

    def spans(self, rows: Iterable[Row]) -> list[tuple[float, float]]:
        """The times of answers that may be missing: since shortly before the last row of each
        killed daemon. Only one may run at a time, since rows are known as its own by their times.
        """
        ats = sorted(datetime.fromisoformat(row["at"]).timestamp() for row in rows)
        spans = list(self.lost)
        for daemon in self.daemons:
            if daemon.killed_at is not None:
                before = ats[: bisect_right(ats, daemon.killed_at)]
                last = before[-1] if before else 0.0
                spans.append((max(daemon.launched_at, last - LOST_SECONDS), daemon.killed_at))
        return spans

    async def check(self, workspace: Workspace) -> list[Row]:
        """Compare with the log, when all daemons have ended; returns the log."""
        rows, dropped = await _read(workspace), self.all_dropped
        if self.requests:
            print(f"{len(self.requests)} requests, {len(rows)} rows, {dropped} dropped")  # noqa: T201
        errors = compare(self.requests, rows, self.spans(rows), dropped)
        assert not errors, f"{len(errors)} differences of log and receivers: {errors[:5]}"
        if not dropped:
            records = [_record(row) for row in rows]
            assert summed(await read_reports(workspace)) == recounted(records)
        return rows


def compare(
    requests: Iterable[Sent],
    rows: Iterable[Row],
    spans: Iterable[tuple[float, float]] = (),
    dropped: int = 0,
) -> list[str]:
    """The differences between requests and rows, in words.

    `spans`: times of answers that may be missing; `dropped`: as many more may.
    """
    rows, spans = list(rows), list(spans)
    by_delivery: dict[tuple[str, str], tuple[list[Sent], list[Row]]] = defaultdict(lambda: ([], []))
    for request in requests:
        by_delivery[request.hook, request.delivery][0].append(request)
    for row in rows:
        by_delivery[row["hook"], row["delivery"]][1].append(row)
    errors = [f"twice: {row}" for row, times in _values(rows).items() if times > 1]
    missing = list[str]()
    for its_requests, its_rows in by_delivery.values():
        wrong, absent = _compare_one(its_requests, its_rows, spans)
        errors += wrong
        missing += absent
    return errors + (missing if len(missing) > dropped else [])


def _compare_one(
    requests: list[Sent], rows: list[Row], spans: list[tuple[float, float]]
) -> tuple[list[str], list[str]]:
    """Of one delivery: rows that are wrong, and requests that are missing."""
    name = (requests or rows) and (requests[0].delivery if requests else rows[0]["delivery"])
    sent = Counter(one.status for one in requests if one.status is not None)
    logged = Counter(row["status"] for row in rows if "status" in row)
    wrong = [
        f"{name}: {number} rows too many with status {status}"
        for status, number in (logged - sent).items()
    ]
    excused = Counter(one.status for one in requests if _lost(one, spans))
    answered = sum(max(0, n - excused[status]) for status, n in (sent - logged).items())
    # A deferral stands for a request without an answer alone; an error also for an answer that was
    # cut off, or came too late.
    unanswered = len(requests) - sent.total() - excused[None] - sum(map(_was_under_way, rows))
    errors = sum(row.get("error") in _MAYBE_REACHED for row in rows)
    absent = max(0, answered + max(0, unanswered) - errors)
    missing = [f"{name}: a request is missing: {requests} {rows}"] * absent
    numbers = {row["attempt"] for row in rows if row["attempt"]}
    gaps = set(range(1, max(numbers, default=0))) - numbers
    if not excused and not missing and len(gaps) > sum(map(_was_under_way, rows)):
        wrong.append(f"{name}: attempts {sorted(numbers)}")
    return wrong, missing


def _lost(request: Sent, spans: list[tuple[float, float]]) -> bool:
    """Whether the answer came, or was still to come, in one of the spans."""
    if request.status is None:
        return any(begin <= request.at for begin, _ in spans)
    return any(begin <= request.at <= end for begin, end in spans)


def _was_under_way(row: Row) -> bool:
    return bool(row["attempt"] == 0 and row["outcome"] in {"retry", "dead_letter"})


def _values(rows: Iterable[Row]) -> Counter[str]:
    return Counter(orjson.dumps(row, option=orjson.OPT_SORT_KEYS).decode() for row in rows)


def _sent(exchange: Exchange) -> Sent:
    head = parse(exchange.head)
    status = None
    if exchange.answer.startswith(b"HTTP/1.1 ") and b"\r\n\r\n" in exchange.answer:
        status = int(exchange.answer[9:12])
    at = time.time() if exchange.answered_at is None else exchange.answered_at
    return Sent(head.hook, head.webhook_id, status, at)


async def _read(workspace: Workspace) -> list[Row]:
    topic, _ = workspace.log_topics
    rows = []
    for record in await committed(workspace.cluster, topic):
        assert record.value is not None
        row: Row = orjson.loads(record.value)
        assert record.key == row["hook"].encode()
        rows.append(row)
    return rows


def _record(row: Row) -> DeliveryRecord:
    record = read_delivery(orjson.dumps(row))
    assert isinstance(record, DeliveryRecord), record
    return record
