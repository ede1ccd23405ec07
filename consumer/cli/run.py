"""`hookstream run`: the daemon in this process."""

import asyncio
from pathlib import Path

from consumer import logs
from consumer.app import App, Loaded
from consumer.cli.config import read_with_authorities
from consumer.cli.process import gc_paused, run_on_loop, tune_gc
from consumer.clock import SystemClock
from consumer.matching.index import Index
from consumer.signals import PROCESS
from consumer.stdio import background_stderr


def run(file: Path | None) -> None:
    """Serve until a signal; raises `HookstreamError` where that is not possible."""

    @gc_paused()
    def load() -> Loaded:
        config, authorities = read_with_authorities(file)
        return Loaded(config.settings, Index(config.table), authorities)

    app = App(load)
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
