"""Signals in the first instants of the daemon, as a plain process and as process 1."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from support.broker import HOST
from support.cluster import Cluster
from support.early import EarlyDaemon, feed, no_namespace, opened
from support.group import join_and_stay_away, state
from support.waiting import PATIENCE, wait_until
from support.workspace import Workspace, hook

SOON = 10.0
"""Seconds: a tenth is usual; a broker that does not answer would take at least fifteen."""
RELOADED = "hooks and settings reloaded"

KINDS = [
    pytest.param({}, id="plain"),
    pytest.param(
        {"as_process_one": True},
        id="process-1",
        marks=pytest.mark.skipif(no_namespace() != "", reason=no_namespace()),
    ),
    pytest.param(
        {"as_process_one": True, "as_image": True},
        id="image",
        marks=pytest.mark.skipif(no_namespace() != "", reason=no_namespace()),
    ),
]
"""Without user namespaces nothing can be process 1; the same handlers are then seen as a plain
process only."""


@pytest.fixture
async def ready(workspace: Workspace) -> Workspace:
    """Topics, settings and one hook."""
    await workspace.create_topics()
    workspace.write_hooks(hook("a", f"http://{HOST}:9"))
    workspace.write_settings()
    return workspace


@asynccontextmanager
async def launched(config: Path, kind: dict[str, bool]) -> AsyncIterator[EarlyDaemon]:
    """A daemon that was just started."""
    daemon = EarlyDaemon(config, **kind)
    await daemon.launch()
    try:
        yield daemon
    finally:
        await daemon.kill()


async def ended(daemon: EarlyDaemon) -> int:
    """The exit code, which must come soon."""
    return await asyncio.wait_for(daemon.wait(), SOON)


async def reloads_once(daemon: EarlyDaemon) -> None:
    """See it stand and reload, once, and stop in order."""
    await wait_until(lambda: daemon.said(RELOADED) or daemon.returncode is not None, "a reload")
    assert daemon.returncode is None, daemon.lines
    assert daemon.events.index("hookstream runs") < daemon.events.index(RELOADED)
    assert await daemon.sample('hookstream_reloads_total{result="ok"}') == 1
    daemon.signal(signal.SIGTERM)
    assert await ended(daemon) == 0
    assert len(daemon.said(RELOADED)) == 1


def many_hooks(workspace: Workspace, count: int) -> Path:
    """A file whose hooks take a while to load."""
    file = workspace.hooks_folder / "many.yaml"
    uri = f"http://{HOST}:9/"
    file.write_text(
        "\n---\n".join(f"id: h{n}\ntrigger: event\nuri: {uri}{n}" for n in range(count))
    )
    return file


@pytest.mark.parametrize("kind", KINDS)
async def test_a_hangup_in_the_first_instant_reloads(
    ready: Workspace, kind: dict[str, bool]
) -> None:
    """A SIGHUP reloads once the daemon runs, even if it comes as soon as the process can have a
    handler, or earlier if the image holds it back.
    """
    async with launched(ready.config, kind) as daemon:
        first = daemon.blocks if "as_image" in kind else daemon.handles
        await first(signal.SIGHUP)
        daemon.signal(signal.SIGHUP)
        await reloads_once(daemon)


@pytest.mark.parametrize("kind", KINDS[:2])
async def test_a_hangup_while_hooks_load_reloads(ready: Workspace, kind: dict[str, bool]) -> None:
    """A SIGHUP that comes while thousands of hooks load reloads once the daemon stands."""
    file = many_hooks(ready, 3_000)
    async with launched(ready.config, kind) as daemon:
        await daemon.reads(file)
        daemon.signal(signal.SIGHUP)
        await reloads_once(daemon)


async def test_hangups_while_settings_are_read_reload_once(ready: Workspace) -> None:
    """However many SIGHUPs come while the settings are being read, the daemon reloads once when it
    runs.
    """
    text = ready.config.read_text()
    ready.config.unlink()
    os.mkfifo(ready.config)
    async with launched(ready.config, {}) as daemon:
        fd = await opened(ready.config)
        for _ in range(3):
            daemon.signal(signal.SIGHUP)
        os.write(fd, text.encode())
        os.close(fd)
        await wait_until(lambda: daemon.said("hookstream runs"), "the daemon to stand")
        await feed(ready.config, text)
        await reloads_once(daemon)


Moment = Callable[[EarlyDaemon, Workspace], Awaitable[None]]


async def _first_instant(daemon: EarlyDaemon, _workspace: Workspace) -> None:
    # The last handler that is installed. Coverage has one of its own for SIGTERM, before ours.
    await daemon.handles(signal.SIGHUP)


async def _reading_settings(_daemon: EarlyDaemon, workspace: Workspace) -> None:
    os.close(await opened(workspace.config))


async def _loading_hooks(daemon: EarlyDaemon, workspace: Workspace) -> None:
    await daemon.reads(workspace.hooks_folder / "many.yaml")


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        (_first_instant, signal.SIGTERM),
        (_reading_settings, signal.SIGINT),
        (_loading_hooks, signal.SIGTERM),
    ],
)
@pytest.mark.parametrize("kind", KINDS[:2])
async def test_a_stop_before_the_daemon_stands_ends_it(
    tmp_path: Path, kind: dict[str, bool], moment: Moment, number: signal.Signals
) -> None:
    """SIGTERM and SIGINT end the process at once and in order while its modules load, while it
    waits for its settings and while it loads hooks, as process 1 too.
    """
    workspace = Workspace(tmp_path, Cluster(f"{HOST}:9"), "none")
    workspace.write_settings()
    many_hooks(workspace, 20_000)
    if moment is _reading_settings:
        workspace.config.unlink()
        os.mkfifo(workspace.config)
    async with launched(workspace.config, kind) as daemon:
        await moment(daemon, workspace)
        daemon.signal(number)
        assert await ended(daemon) == 0
        assert daemon.lines == []


async def test_a_stop_that_the_image_holds_back_is_not_lost(tmp_path: Path) -> None:
    """A SIGTERM that comes before Python itself has begun ends process 1 of the image."""
    if reason := no_namespace():
        pytest.skip(reason)
    workspace = Workspace(tmp_path, Cluster(f"{HOST}:9"), "none")
    workspace.write_settings()
    many_hooks(workspace, 20_000)
    is_held_back = False
    while not is_held_back:  # a busy machine may look too late
        async with launched(workspace.config, {"as_process_one": True, "as_image": True}) as daemon:
            is_held_back = await daemon.blocks(signal.SIGTERM)
            daemon.signal(signal.SIGTERM)
            assert await ended(daemon) == 0


@pytest.mark.parametrize("kind", KINDS[:2])
async def test_a_stop_while_a_broker_is_mute(ready: Workspace, kind: dict[str, bool]) -> None:
    """SIGTERM ends the process at once and in order while a broker that accepts connections and
    says nothing is waited for.
    """
    connected = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.set()
        with suppress(ConnectionError):
            await reader.read()
        writer.close()

    server = await asyncio.start_server(say_nothing, HOST, 0)
    port = server.sockets[0].getsockname()[1]
    ready.write_settings(kafka={"bootstrap_servers": f"{HOST}:{port}"})
    async with server, launched(ready.config, kind) as daemon:
        await asyncio.wait_for(connected.wait(), PATIENCE)
        daemon.signal(signal.SIGTERM)
        assert await ended(daemon) == 0
        assert daemon.complaints == []


@pytest.mark.parametrize("kind", KINDS[:2])
async def test_a_stop_while_the_group_is_joined(ready: Workspace, kind: dict[str, bool]) -> None:
    """SIGTERM ends the process at once and in order while it waits for a group that does not
    form.
    """

    async def waits() -> bool:
        return await state(ready.cluster, ready.group) == "PreparingRebalance"

    await join_and_stay_away(ready.cluster, ready.group, ready.topic("event"))
    async with launched(ready.config, kind) as daemon:
        await wait_until(waits, "the daemon to wait for the other member")
        daemon.signal(signal.SIGTERM)
        assert await ended(daemon) == 0
        assert daemon.complaints == []


async def test_a_stop_while_a_reload_waits_for_a_file(ready: Workspace) -> None:
    """SIGTERM ends the process at once and in order while a reload reads a file that never ends."""
    async with launched(ready.config, {}) as daemon:
        await wait_until(lambda: daemon.said("hookstream runs"), "the daemon to stand")
        ready.config.unlink()
        os.mkfifo(ready.config)
        daemon.signal(signal.SIGHUP)
        fd = await opened(ready.config)
        daemon.signal(signal.SIGTERM)
        assert await ended(daemon) == 0
        os.close(fd)
    assert daemon.events[-1] == "stopped"
