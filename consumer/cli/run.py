"""`hookstream run`: the daemon in this process."""

import sys
from pathlib import Path

from consumer import logs
from consumer.app import App, Loaded
from consumer.cli.config import read_config
from consumer.cli.process import run_on_loop, settle_memory, uncollected
from consumer.clock import SystemClock
from consumer.matching.index import Index
from consumer.signals import Signals


def run(file: Path | None) -> None:
    """Serve until a signal; raises `HookstreamError` where that is not possible."""

    @uncollected()
    def load() -> Loaded:
        config = read_config(file)
        return Loaded(config.settings, Index(config.table))

    app = App(load)
    settings = app.settings
    logs.configure(settings.log.format, settings.log.level, sys.stderr, SystemClock())
    settle_memory()
    run_on_loop(lambda: serve(app))


async def serve(app: App) -> None:
    """Run `app` under the process's signals."""
    async with Signals(on_stop=app.stop, on_reload=app.reloader.request):
        await app.run()
