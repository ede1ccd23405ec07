"""The panel as a process while it starts, and without standard streams; it needs no broker."""

import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from support.bare_panel import write_panel
from support.broker import free_port
from support.early import feed, opened
from support.panel import Client, PanelProcess, token_entries
from support.waiting import wait_until

RELOADED = "tokens and proxies are those of the settings"


@asynccontextmanager
async def _reading_settings(config: Path) -> AsyncIterator[tuple[PanelProcess, int]]:
    """A panel that waits for its settings, and the descriptor to write them to."""
    _make_pipe(config)
    panel = PanelProcess(config)
    await panel.launch()
    try:
        yield panel, await opened(config)
    finally:
        await panel.__aexit__()


async def test_a_hangup_while_the_panel_starts_reloads(tmp_path: Path) -> None:
    """A SIGHUP that comes while the panel starts reloads once it serves, and does not end it."""
    config = write_panel(tmp_path, tokens=token_entries())
    text = config.read_text()
    async with _reading_settings(config) as (panel, fd):
        panel.signal(signal.SIGHUP)
        os.write(fd, text.encode())
        os.close(fd)
        await wait_until(lambda: panel.url, "the panel to be open")
        await feed(config, text)
        await wait_until(lambda: any(RELOADED in line for line in panel.lines), "a reload")
        panel.signal(signal.SIGTERM)
        assert await panel.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_stop_while_the_panel_starts_ends_it(
    tmp_path: Path, number: signal.Signals
) -> None:
    """SIGTERM and SIGINT end a panel that starts in order, without a word."""
    async with _reading_settings(write_panel(tmp_path)) as (panel, fd):
        panel.signal(number)
        assert await panel.wait() == 0
        os.close(fd)
        assert panel.lines == []


async def test_closed_streams_are_no_connections(tmp_path: Path) -> None:
    """If its standard streams are closed the panel reserves their descriptor numbers, so that no
    connection receives its log.
    """
    port = free_port()
    config = write_panel(tmp_path, port=port, tokens=token_entries())
    panel = PanelProcess(
        config,
        command=(
            *("sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"),
            *(sys.executable, "-m", "consumer", "panel", "--config", str(config)),
        ),
    )
    await panel.launch()
    try:
        client = Client(f"http://127.0.0.1:{port}")
        await wait_until(lambda: _answers(client), "the panel to serve")
        assert _standard_streams(panel.pid) == [Path(os.devnull)] * 3
        panel.signal(signal.SIGTERM)
        assert await panel.wait() == 0
    finally:
        await panel.__aexit__()


def _make_pipe(config: Path) -> None:
    config.unlink()
    os.mkfifo(config)


def _standard_streams(pid: int) -> list[Path]:
    return [Path(f"/proc/{pid}/fd/{number}").readlink() for number in range(3)]


async def _answers(client: Client) -> bool:
    try:
        return (await client("GET", "/healthz")).status == 200
    except OSError:
        return False
