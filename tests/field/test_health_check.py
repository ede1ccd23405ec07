"""The image's health check beside a daemon that is process 1, as in a container."""

import asyncio
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from support.broker import HOST, free_port
from support.cluster import Cluster
from support.early import EarlyDaemon, no_namespace
from support.project import ROOT
from support.waiting import wait_until
from support.workspace import Workspace, hook

pytestmark = pytest.mark.skipif(
    no_namespace() != "" or shutil.which("nsenter") is None,
    reason=no_namespace() or "nsenter is not installed",
)
"""Without user namespaces nothing can be process 1; `tests/unit/deploy` has the parts."""


@pytest.fixture
async def container(tmp_path: Path) -> AsyncIterator[Callable[..., EarlyDaemon]]:
    """Makes a daemon that is process 1 of a container, whose broker never answers: it is alive."""
    daemons: list[EarlyDaemon] = []

    def make(**admin: object) -> EarlyDaemon:
        workspace = Workspace(tmp_path, Cluster(f"{HOST}:{silent.getsockname()[1]}"), "none")
        workspace.write_hooks(hook("a", f"http://{HOST}:9"))
        workspace.write_settings(admin=admin)
        daemons.append(EarlyDaemon(workspace.config, as_process_one=True, as_image=True))
        return daemons[-1]

    server = await asyncio.start_server(_say_nothing, HOST, 0)
    silent = server.sockets[0]
    async with server:
        yield make
        for daemon in daemons:
            await daemon.kill()


async def _say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


async def check(daemon: EarlyDaemon) -> int:
    """The exit code of the health check inside the daemon's container."""
    inside = ("nsenter", "--user", "--preserve-credentials", "--mount", "--pid")
    process = await asyncio.create_subprocess_exec(
        *(*inside, "--target", str(daemon.pid)),
        *(sys.executable, str(ROOT / "deploy/healthcheck.py")),
        cwd="/",
        stderr=subprocess.DEVNULL,
    )
    return await process.wait()


@pytest.mark.parametrize("host", ["::1", ["127.0.0.3", "::"]], ids=["one", "several"])
@pytest.mark.parametrize("any_port", [True, False], ids=["any port", "a named port"])
async def test_it_asks_where_the_settings_in_use_put_the_server(
    container: Callable[..., EarlyDaemon], host: object, any_port: bool
) -> None:
    """The health check asks the admin server at the address of the settings in use, be it from the
    settings file only, any address, several, or a free port, even if the file has changed since.
    """
    daemon = container(host=host, port=0 if any_port else free_port())
    await daemon.launch()

    async def healthy() -> bool:
        return await check(daemon) == 0

    await wait_until(healthy, "the daemon to be alive")
    daemon._config.write_text(f"admin: {{host: 127.0.0.9, port: {free_port()}}}\n")
    assert await healthy()
    daemon.signal(signal.SIGSTOP)
    assert await check(daemon) == 1
    daemon.signal(signal.SIGCONT)
