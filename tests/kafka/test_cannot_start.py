"""What keeps the daemon from starting is said in one sentence, with exit code 1."""

import asyncio
import socket

import pytest

from consumer.stream.intake import Intake
from support.broker import HOST, free_port
from support.daemon import Daemon, InProcess
from support.waiting import PATIENCE, wait_until
from support.workspace import Workspace, hook


@pytest.fixture
async def ready_workspace(workspace: Workspace) -> Workspace:
    """Topics and a hook, but no settings yet."""
    await workspace.create_topics()
    workspace.write_hooks(hook("a", "http://127.0.0.1:9"))
    return workspace


async def test_a_missing_source_topic(ready_workspace: Workspace) -> None:
    """A missing source topic ends the start with one sentence that names the topic and what to
    do.
    """
    missing = ready_workspace.topic("missing")
    ready_workspace.sources[missing] = {"topic": missing, "trigger": "event"}
    ready_workspace.write_settings()
    said = await Daemon(ready_workspace.config).refuses()
    assert missing in said
    assert "create it" in said


async def test_no_broker(ready_workspace: Workspace) -> None:
    """A broker that cannot be reached ends the start with one sentence that names the address and
    the setting.
    """
    refused = f"{HOST}:{free_port()}"
    ready_workspace.write_settings(kafka={"bootstrap_servers": refused})
    said = await Daemon(ready_workspace.config).refuses()
    assert refused in said
    assert "kafka.bootstrap_servers" in said


async def test_a_port_in_use(ready_workspace: Workspace) -> None:
    """A port in use ends the start with one sentence that names the port and the setting."""
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        ready_workspace.write_settings(admin={"port": port})
        said = await Daemon(ready_workspace.config).refuses()
    assert f"{HOST}:{port}" in said
    assert "admin.port" in said


async def test_a_stop_while_the_group_does_not_form(
    ready_workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stop is orderly even while the group's coordinator never answers."""
    begun = asyncio.Event()

    async def start(_intake: Intake) -> None:
        begun.set()
        await asyncio.get_running_loop().create_future()

    monkeypatch.setattr(Intake, "start", start)
    ready_workspace.write_settings()
    daemon = InProcess(ready_workspace.config)
    running = asyncio.create_task(daemon.app.run())
    await wait_until(begun.is_set, "the daemon to join")
    assert not await daemon.ready()
    daemon.app.stop()
    await asyncio.wait_for(running, PATIENCE)
