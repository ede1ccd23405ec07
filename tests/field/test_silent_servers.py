"""Some of the bootstrap servers are silent: the others are enough."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack

import pytest

from support.command import run_command
from support.daemon import Daemon
from support.forwarder import DropsSyns, Forwarder
from support.waiting import wait_until
from support.workspace import Workspace, hook

PROMPT = 20.0
"""Seconds: ten, and as many for a machine that is busy."""


@pytest.fixture
async def silent() -> AsyncIterator[dict[str, str]]:
    """Addresses that never answer, by the way in which they do not."""
    async with AsyncExitStack() as stack:
        mute = await stack.enter_async_context(Forwarder())
        drops = await stack.enter_async_context(DropsSyns())
        yield {"mute": mute.address, "drops": drops.address}


@pytest.mark.parametrize(
    "order",
    [("mute", "good"), ("good", "mute"), ("drops", "good"), ("mute", "drops", "good")],
    ids="-".join,
)
async def test_silent_bootstrap_servers(
    workspace: Workspace, silent: dict[str, str], order: Sequence[str]
) -> None:
    """With all bootstrap servers but one silent, whatever their order, every start is ready and
    every command answers within ten seconds.
    """
    addresses = silent | {"good": workspace.cluster.bootstrap}
    await workspace.create_topics(partitions=1)
    workspace.write_settings(kafka={"bootstrap_servers": [addresses[name] for name in order]})
    workspace.write_hooks(hook("a", "http://127.0.0.1:9"))
    daemon = Daemon(workspace.config)
    await daemon.launch()
    try:
        await wait_until(lambda: _ready(daemon), "the daemon to be ready", patience=PROMPT)
        for command in (["list"], ["replay", "--dry-run"]):
            async with asyncio.timeout(PROMPT):
                done = await asyncio.to_thread(
                    run_command,
                    *(
                        "dead-letters",
                        *command,
                        "--hook",
                        "none",
                        "--config",
                        str(workspace.config),
                    ),
                    folder=workspace.folder,
                )
            assert done.returncode == 0, done.stderr
        assert await daemon.stop() == 0
    finally:
        await daemon.kill()


async def _ready(daemon: Daemon) -> bool:
    assert daemon.returncode is None, daemon.lines
    return daemon.admin_port is not None and await daemon.ready()
