"""What a daemon loads before it delivers, and what it answers meanwhile."""

import aiohttp
import pytest

from support.broker import free_port
from support.daemon import Daemon
from support.forwarder import Forwarder
from support.receiver import Receiver
from support.waiting import wait_until
from support.workspace import Workspace, event, hook

UNUSED = {"typer", "rich", "confluent_kafka"}
"""Packages of the other commands and of the demo."""


async def test_a_daemon_imports_nothing_of_the_other_commands(workspace: Workspace) -> None:
    """A daemon that has delivered and stops has imported neither the parser of command lines, nor
    what prints tables, nor the demo's broker.
    """
    await workspace.create_topics()
    workspace.write_settings()
    async with Receiver() as receiver:
        workspace.write_hooks(hook("a", receiver.origin))
        await workspace.cluster.produce(workspace.topic("event"), [event("e1")])
        async with Daemon(workspace.config, {"PYTHONPROFILEIMPORTTIME": "1"}) as daemon:
            await receiver.until(requests=1)
            await wait_until(workspace.caught_up, "all to be settled")
            assert await daemon.stop() == 0
    imported = {line.rpartition("|")[2].strip() for line in daemon.lines if "import time:" in line}
    assert {"consumer.app", "aiokafka"} <= imported, "the list of imports is incomplete"
    assert not UNUSED & imported


async def test_a_daemon_that_waits_for_its_broker_is_alive(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon whose broker does not answer its first question says that it is alive and not
    ready, so an orchestrator does not restart it.
    """
    port = free_port()
    monkeypatch.setattr(Daemon, "admin_port", port)
    daemon = Daemon(workspace.config)

    async def probed() -> bool:
        try:
            return [(await daemon.get(path))[0] for path in ("/healthz", "/readyz")] == [200, 503]
        except aiohttp.ClientError:
            return False

    async with Forwarder() as silent:
        workspace.write_settings(kafka={"bootstrap_servers": silent.address}, admin={"port": port})
        workspace.write_hooks(hook("a", "http://127.0.0.1:9"))
        await daemon.launch()
        try:
            await wait_until(probed, "the probes to be answered")
            assert await daemon.stop() == 0
        finally:
            await daemon.kill()
