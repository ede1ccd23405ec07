"""`hookstream panel`: serves until a signal."""

import asyncio
from functools import partial
from pathlib import Path

import typer

from consumer import logs
from consumer.cli.process import run_on_loop
from consumer.clock import SystemClock
from consumer.configuration import read_settings
from consumer.errors import HookstreamError
from consumer.logs import get_logger
from consumer.panel.panel import Panel
from consumer.signals import PROCESS
from consumer.stdio import background_stderr

log = get_logger(__name__)


def serve(file: Path | None) -> None:
    """Serve until a signal. Raises `HookstreamError` if that is not possible."""
    settings, new_context = read_settings(file)
    stderr = background_stderr()
    logs.configure(settings.log.format, settings.log.level, stderr, SystemClock())
    panel = Panel(settings, new_context, SystemClock())
    with stderr.without_blocking():
        run_on_loop(lambda: _serve(panel, file), process_ends=True)


async def _serve(panel: Panel, file: Path | None) -> None:
    stop, reload = asyncio.Event(), asyncio.Event()
    schedule = asyncio.get_running_loop().call_soon_threadsafe
    with (
        PROCESS.installed(),
        PROCESS.calling(schedule, on_stop=stop.set, on_reload=reload.set),
    ):
        async with panel.serving():
            log.info("the panel is open", url=panel.url)
            if panel.link is not None:
                typer.echo(f"open {panel.link}")
            reloading = asyncio.create_task(_reload(panel, file, reload))
            await stop.wait()
            reloading.cancel()
    log.info("the panel ends")


async def _reload(panel: Panel, file: Path | None, wanted: asyncio.Event) -> None:
    """Take who may log in of changed settings, each time when that is wanted."""
    while True:
        await wanted.wait()
        wanted.clear()
        try:
            settings, _ = await asyncio.to_thread(partial(read_settings, file))
            waiting = panel.use(settings)
        except HookstreamError as error:
            log.error("the changed settings are refused", problem=str(error))
            continue
        log.info("tokens and proxies are those of the settings", tokens=len(settings.panel.tokens))
        if waiting:
            log.warning(
                "other settings have changed: restart the panel to take them", fields=waiting
            )
