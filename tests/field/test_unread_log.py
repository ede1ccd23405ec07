"""Standard error that is not read, closed, full or stopped, under a daemon that logs much."""

import asyncio
import json
import os
import pty
import signal
import sys
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from support.broker import HOST, free_port
from support.daemon import Daemon
from support.project import ROOT
from support.received import ids
from support.receiver import Receiver
from support.waiting import wait_until
from support.workspace import Workspace, event, hook, ids_of

EVENTS = 1_500
"""Each is delivered once and rejected once, with a line for that: more than anything buffers."""
SOON = 10.0
DROPPED = "hookstream_log_lines_dropped_total"
XOFF, XON = b"\x13", b"\x11"


class Talkative(Daemon):
    """A daemon whose standard error is the file descriptor `stderr`; `port`: its admin server's."""

    def __init__(self, config: Path, stderr: int, port: int) -> None:
        super().__init__(config)
        self._stderr = stderr
        self._port = port

    @property
    def admin_port(self) -> int:  # type: ignore[override]
        """The address that the settings have, since no one reads which one was bound."""
        return self._port

    async def launch(self) -> None:
        """Start it; `stderr` is its own afterwards."""
        self._process = await asyncio.create_subprocess_exec(
            *self._by,
            *(sys.executable, "-m", "consumer", "run", "--config", str(self._config)),
            stdin=DEVNULL,
            stderr=self._stderr,
            cwd=ROOT,
        )
        os.close(self._stderr)
        self._reading = asyncio.create_task(asyncio.sleep(0))


@asynccontextmanager
async def running(workspace: Workspace, stderr: int) -> AsyncIterator[tuple[Talkative, Receiver]]:
    """A daemon that logs at level debug, one hook that delivers and one that rejects."""
    port = free_port()
    async with Receiver() as receiver:
        await workspace.create_topics()
        workspace.write_settings(log={"level": "debug"}, admin={"port": port})
        missing = {"key": "x", "source": "event", "value": "data.none", "missing": "reject"}
        workspace.write_hooks(
            hook("good", receiver.origin), hook("bad", receiver.origin, parameters=[missing])
        )
        async with Talkative(workspace.config, stderr, port) as daemon:
            yield daemon, receiver


async def goes_on(workspace: Workspace, daemon: Talkative, receiver: Receiver) -> None:
    """See that events are delivered and committed, and that probes are answered."""
    names = [f"e{n}" for n in range(EVENTS)]
    await workspace.cluster.produce(workspace.topic("event"), map(event, names))
    await wait_until(workspace.caught_up, "every event to be settled and committed")
    assert set(ids(receiver.requests)) == ids_of("good", names)
    assert (await daemon.get("/healthz"))[0] == 200
    assert await daemon.ready()


async def stops(daemon: Talkative) -> None:
    """See that it obeys SIGTERM."""
    daemon.signal(signal.SIGTERM)
    assert await asyncio.wait_for(daemon.wait(), SOON) == 0


def _unread_pipe() -> tuple[int, int]:
    reading, writing = os.pipe()
    return writing, reading


def _closed_pipe() -> tuple[int, int]:
    reading, writing = os.pipe()
    os.close(reading)
    return writing, -1


def _full_disk() -> tuple[int, int]:
    return os.open("/dev/full", os.O_WRONLY), -1


def _stopped_terminal() -> tuple[int, int]:
    outside, inside = pty.openpty()
    os.write(outside, XOFF)
    return inside, outside


@pytest.mark.parametrize("sink", [_unread_pipe, _closed_pipe, _full_disk, _stopped_terminal])
async def test_a_log_that_cannot_be_written_holds_up_nothing(
    workspace: Workspace, sink: Callable[[], tuple[int, int]]
) -> None:
    """A log that cannot be written, because its pipe is not read or closed, its disk full or its
    terminal stopped, holds up no delivery, commit, probe or stop, and its lines are counted.
    """
    stderr, other_end = sink()
    try:
        async with running(workspace, stderr) as (daemon, receiver):
            await goes_on(workspace, daemon, receiver)
            assert await daemon.sample(DROPPED) > 0
            await stops(daemon)
    finally:
        if other_end != -1:
            os.close(other_end)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe's two ends, the reading one closed afterwards."""
    reading, writing = os.pipe()
    yield reading, writing
    os.close(reading)


async def test_a_log_that_is_read_again_tells_what_is_missing(
    workspace: Workspace, pipe: tuple[int, int]
) -> None:
    """When a log can be written again its lines are whole and in order, one of them says how many
    were dropped, and later ones are written as before.
    """
    reading, writing = pipe
    async with running(workspace, writing) as (daemon, receiver):
        await goes_on(workspace, daemon, receiver)
        dropped = await daemon.sample(DROPPED)
        assert dropped > 0
        os.set_blocking(reading, False)
        text = bytearray()

        def read(until: str) -> bool:
            with suppress(BlockingIOError):
                while piece := os.read(reading, 65_536):
                    text.extend(piece)
            return until.encode() in text

        await wait_until(lambda: read("log lines dropped"), "the line that tells of it")
        daemon.signal(signal.SIGTERM)
        await wait_until(lambda: read('"event":"stopped"'), "the daemon's last lines")
        assert await asyncio.wait_for(daemon.wait(), SOON) == 0
    assert text.endswith(b"\n")
    lines = [json.loads(line) for line in text.decode().splitlines()]
    [gap] = [line for line in lines if line["event"].startswith("log lines dropped")]
    assert gap["lines"] == dropped
    assert [line["time"] for line in lines] == sorted(line["time"] for line in lines)


async def test_the_last_words_are_seen(workspace: Workspace) -> None:
    """The sentence that says why the daemon ends comes out, after every line of the log."""
    workspace.write_settings(kafka={"bootstrap_servers": f"{HOST}:{free_port()}"})
    workspace.write_hooks(hook("a", f"http://{HOST}:9"))
    daemon = Daemon(workspace.config)
    assert "no Kafka broker answers" in await daemon.refuses()
    assert "no Kafka broker answers" in daemon.lines[-1]


async def test_a_stream_that_was_closed_before_is_not_taken_for_another(
    workspace: Workspace,
) -> None:
    """If its standard streams are closed the daemon reserves their descriptor numbers, so that no
    connection receives the log.
    """
    port = free_port()
    await workspace.create_topics()
    workspace.write_settings(admin={"port": port})
    workspace.write_hooks(hook("a", f"http://{HOST}:9"))
    daemon = Talkative(workspace.config, os.open(os.devnull, os.O_WRONLY), port)
    daemon._by = ("sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh")
    async with daemon:
        assert _standard_streams(daemon.pid) == [Path(os.devnull)] * 3
        await stops(daemon)


def _standard_streams(pid: int) -> list[Path]:
    return [Path(f"/proc/{pid}/fd/{number}").readlink() for number in range(3)]
