"""`hookstream run`: the daemon in this process."""

import asyncio
from functools import partial
from pathlib import Path

from consumer import logs
from consumer.app import App
from consumer.cli.process import run_on_loop
from consumer.clock import SystemClock
from consumer.collector import tune_gc
from consumer.configuration import load
from consumer.settings import environment
from consumer.signals import PROCESS
from consumer.stdio import background_stderr


def run(file: Path | None) -> None:
    """Serve until a signal; raises `HookstreamError` if that is not possible."""
    app = App(partial(load, file), environ=environment())
    settings = app.settings
    stderr = background_stderr()
    logs.configure(settings.log.format, settings.log.level, stderr, SystemClock())
    app.metrics.set_log_lines_dropped_source(lambda: stderr.dropped)
    tune_gc()
    with stderr.without_blocking():
        run_on_loop(lambda: serve(app), process_ends=True)


async def serve(app: App) -> None:
    """Run `app` under the process's signals."""
    schedule = asyncio.get_running_loop().call_soon_threadsafe
    with PROCESS.calling(schedule, on_stop=app.stop, on_reload=app.reloader.request):
        await app.run()
