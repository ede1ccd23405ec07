"""`hookstream deliveries` and `hookstream reports` as a person uses them."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE

import orjson
import pytest

from consumer.journal.records import ReportRecord, hash_user, report_key, report_value, user_key
from support.daemon import InProcess
from support.delivery_log import KEPT_FOR_EVER, LogRecord, log_record, write_log
from support.project import ROOT
from support.receiver import Receiver, response
from support.terminal import Terminal
from support.waiting import PATIENCE, wait_until
from support.workspace import Workspace, hook

PARTITIONS = 3
T0 = 1_790_000_000_000
"""Epoch milliseconds: 2026-09-21T14:13:20Z."""


def _command(workspace: Workspace, *words: str) -> list[str]:
    return [sys.executable, "-m", "consumer", *words, "--config", str(workspace.config)]


async def _run(workspace: Workspace, *words: str) -> tuple[int | None, str, str]:
    """Exit code, standard output and standard error of one command without a terminal."""
    process = await asyncio.create_subprocess_exec(
        *_command(workspace, *words),
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200"},
    )
    try:
        async with asyncio.timeout(PATIENCE):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, out.decode(), " ".join(err.decode().split())


async def _write(workspace: Workspace, *records: LogRecord) -> None:
    topic = f"{workspace.topic_prefix}.deliveries"
    await write_log(workspace.cluster, topic, records, partitions=PARTITIONS)


@pytest.fixture
async def topics(workspace: Workspace) -> Workspace:
    """A workspace with settings, and the topics of the log and of the reports."""
    workspace.write_settings()
    names = [f"{workspace.topic_prefix}.{name}" for name in ("deliveries", "reports")]
    await workspace.cluster.create(names, partitions=PARTITIONS, configs=KEPT_FOR_EVER)
    return workspace


async def test_a_list_in_a_pipe_is_json_newest_first(topics: Workspace) -> None:
    """In a pipe each delivery is a line of JSON, the newest first, and a note on standard error
    says what was searched, and which share of the successes is there; finding nothing is no
    failure.
    """
    key = user_key(None, topics.group, topics.topic_prefix)
    await _write(
        topics,
        log_record("a", 1, T0, user=hash_user(key, "u 42")),
        log_record("b", 2, T0 + 1_000, status=503, outcome="retry"),
        log_record("a", 3, T0 + 2_000, attempt=0, status=None, ms=None, outcome="dead_letter",
                   reason="rejected"),
    )  # fmt: skip
    code, out, err = await _run(topics, "deliveries", "list")
    lines = [orjson.loads(line) for line in out.splitlines()]
    assert [(line["event"], line["outcome"]) for line in lines] == [
        ("e3", "dead_letter"), ("e2", "retry"), ("e1", "delivered"),
    ]  # fmt: skip
    assert (lines[0]["reason"], lines[0]["status"], lines[0]["ms"]) == ("rejected", None, None)
    assert lines[2]["ms"]["all"] == 3.25
    searched = "note: 3 records searched, all that were ever written"
    share = "note: of what succeeds the log has a share of 0.01 (delivery_log.successes)"
    assert (code, err) == (0, f"{searched} {share}")
    _, out, _ = await _run(topics, "deliveries", "list", "--user", "u 42")
    assert [orjson.loads(line)["delivery"] for line in out.splitlines()] == ["e1:a"]
    _, out, _ = await _run(topics, "deliveries", "list", "--limit", "1")
    assert len(out.splitlines()) == 1
    code, out, err = await _run(topics, "deliveries", "list", "--hook", "a", "--status", "5xx")
    assert (code, out) == (0, "")
    assert "records searched, all that were ever written" in err
    assert err.endswith("no hook has this id; its rows may still be in the log")


async def test_a_list_on_a_terminal_is_a_table(topics: Workspace) -> None:
    """On a terminal the deliveries are a table, the newest last, or JSON lines with `--json`."""
    await _write(
        topics,
        log_record("a", 1, T0),
        log_record("a", 2, T0 + 1_000, status=None, error="timeout", outcome="overflow"),
    )
    terminal = Terminal(*_command(topics, "deliveries", "list"))
    await terminal.start()
    await terminal.until("records searched")
    rows = [row.split() for row in terminal.text.splitlines() if "e1:a" in row or "e2:a" in row]
    assert [row[:7] for row in rows] == [
        ["2026-09-21", "14:13:20.000", "a", "delivered", "204", "1", "3"],
        ["2026-09-21", "14:13:21.000", "a", "overflow", "timeout", "1", "3"],
    ]
    assert await terminal.end() == 0
    terminal = Terminal(*_command(topics, "deliveries", "list", "--json"))
    await terminal.start()
    await terminal.until('"delivery":"e1:a"')
    assert await terminal.end() == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--status", "5x"], "Invalid value for --status: '5x' is no status; did you mean 5xx?"),
        (["--outcome", "lost"], "Invalid value for --outcome: 'lost' is no outcome; write one of:"),
        (["--since", "now"], "Invalid value for --since: 'now' is neither a time with its zone"),
    ],
)
async def test_a_wrong_option_is_refused(workspace: Workspace, words: list[str], said: str) -> None:
    """A text that a filter does not take ends the command with code 2 and a hint."""
    workspace.write_settings()
    code, _, err = await _run(workspace, "deliveries", "list", *words)
    assert code == 2
    assert said in " ".join(err.replace("│", " ").split())


async def test_without_a_log_the_commands_say_so(workspace: Workspace) -> None:
    """Before any daemon has made the topics the lists are empty and say so, and `tail` fails."""
    workspace.write_settings()
    code, out, err = await _run(workspace, "deliveries", "list")
    assert (code, out) == (0, "")
    assert "there is no delivery log yet" in err
    code, out, err = await _run(workspace, "reports")
    assert (code, out, "no reports: there is no topic" in err) == (0, "", True)
    code, _, err = await _run(workspace, "deliveries", "tail")
    assert code == 1
    assert "there is no topic" in err


async def test_tail_follows(topics: Workspace) -> None:
    """`tail` prints each delivery as it is logged, with `--since` the earlier ones first; it ends
    after `--limit` of them, or at Ctrl-C with code 130.
    """
    await _write(topics, log_record("a", 1, T0), log_record("b", 2, T0))
    words = ("deliveries", "tail", "--hook", "a", "--since", "2026-09-01T00:00:00Z")
    process = await asyncio.create_subprocess_exec(
        *_command(topics, *words), stdin=DEVNULL, stdout=PIPE, stderr=PIPE, cwd=ROOT
    )
    assert process.stdout is not None
    try:
        assert await _next_event(process.stdout) == "e1"
        await _write(topics, log_record("b", 3, T0 + 1_000), log_record("a", 4, T0 + 2_000))
        assert await _next_event(process.stdout) == "e4"
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(PATIENCE):
            _, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
    assert (process.returncode, b"Traceback" in err) == (130, False)
    code, out, _ = await _run(topics, *words, "--limit", "2")
    assert (code, [orjson.loads(line)["event"] for line in out.splitlines()]) == (0, ["e1", "e4"])


async def _next_event(output: asyncio.StreamReader) -> str:
    async with asyncio.timeout(PATIENCE):
        line = orjson.loads(await output.readline())
    return str(line["event"])


async def test_tail_on_a_terminal_is_a_line_each(topics: Workspace) -> None:
    """On a terminal `tail` prints a line of text for each delivery."""
    await _write(
        topics, log_record("a", 1, T0, status=404, outcome="dead_letter", reason="permanent")
    )
    words = ("deliveries", "tail", "--since", "2026-09-01T00:00:00Z", "--limit", "1")
    terminal = Terminal(*_command(topics, *words))
    await terminal.start()
    await terminal.until("2026-09-21 14:13:20.000 a dead_letter 404 1 3 e1:a permanent")
    assert await terminal.end() == 0


async def test_reports_are_shown(topics: Workspace) -> None:
    """`reports` prints the sums over the replicas as JSON lines in a pipe, and as a table on a
    terminal.
    """
    topic = f"{topics.topic_prefix}.reports"
    async with topics.cluster.producer() as producer:
        for replica in ("r-1", "r-2"):
            one = ReportRecord(
                hook="a", hour="2026-09-21T14", replica=replica, delivered=3, retried=1,
                attempts={"2xx": 3, "5xx": 1}, latency=(4, 0), bounds=(1.0,),
                dead_lettered={"permanent": 2},
            )  # fmt: skip
            key = report_key(one.hook, one.hour, replica)
            await producer.send_and_wait(topic, report_value(one, topics.group), key=key)
    words = ("reports", "--since", "2026-09-21T14:00:00Z", "--until", "2026-09-21T16:00:00Z")
    code, out, err = await _run(topics, *words)
    [line] = [orjson.loads(line) for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert (line["start"], line["delivered"], line["retried"]) == ("2026-09-21T14:00:00.000Z", 6, 2)
    assert (line["dead_lettered"], line["success_share"]) == ({"permanent": 4}, 0.75)
    terminal = Terminal(*_command(topics, *words, "--step", "1d"))
    await terminal.start()
    await terminal.until("2026-09-21 00:00")
    assert await terminal.end() == 0
    assert "75.0%" in terminal.text
    code, _, err = await _run(topics, "reports", "--step", "1w")
    assert (code, "'1w' is no step; write one of: 1h, 1d" in err) == (2, True)


async def test_a_reader_that_went_away_ends_the_search(topics: Workspace) -> None:
    """A search whose output is not read to its end ends without a word."""
    await _write(topics, *(log_record("a", n, T0 + n) for n in range(3_000)))
    shell = " ".join([*_command(topics, "deliveries", "list"), "| head -n 1"])
    process = await asyncio.create_subprocess_shell(
        shell, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, cwd=ROOT
    )
    out, err = await process.communicate()
    assert (orjson.loads(out)["event"], err) == ("e2999", b"")


async def test_what_a_daemon_logs_is_found(workspace: Workspace) -> None:
    """What a daemon logs is found by each filter, a user by the id that the log does not hold, and
    its reports are summed; no value of the event is in the output.
    """
    await workspace.create_topics()
    keys = {"user_key": "canary-of-a-key"}
    workspace.write_settings(delivery_log={"successes": 1.0, **keys})
    user = {"user": {"id": "canary-of-a-user"}}
    events = [
        orjson.dumps({"id": f"e{n}", "data": {"event_key": "canary"}, **(user if n else {})})
        for n in range(3)
    ]
    async with Receiver(response(200), response(404)) as receiver:
        workspace.write_hooks(
            hook("a", receiver.origin, parameters=[
                {"key": "k", "source": "event", "value": "data.event_key"},
            ]),
        )  # fmt: skip
        async with InProcess(workspace.config):
            await workspace.cluster.produce(workspace.topic("event"), events, key=b"k")
            await wait_until(workspace.caught_up, "all to be settled")
    code, out, _ = await _run(workspace, "deliveries", "list", "--hook", "a")
    assert (code, len(out.splitlines())) == (0, 3)
    _, found, _ = await _run(workspace, "deliveries", "list", "--user", "canary-of-a-user")
    lines = [orjson.loads(line) for line in found.splitlines()]
    assert sorted(line["event"] for line in lines) == ["e1", "e2"]
    _, dead, _ = await _run(workspace, "deliveries", "list", "--outcome", "dead_letter")
    [line] = [orjson.loads(line) for line in dead.splitlines()]
    assert (line["status"], line["reason"], line["hook"]) == (404, "permanent", "a")
    _, reports, _ = await _run(workspace, "reports")
    [report] = [orjson.loads(line) for line in reports.splitlines()]
    assert (report["delivered"], report["dead_lettered"]) == (2, {"permanent": 1})
    assert "canary" not in out + found + dead + reports
