"""Signals of the operating system, turned into calls on the event loop's thread."""

import asyncio
import os
import signal
from collections.abc import Callable
from typing import Self


class Signals:
    """While entered: `SIGTERM` and `SIGINT` stop, a second one exits at once, `SIGHUP` reloads.

    The handlers are the process's, so only one of these can be entered at a time.
    """

    def __init__(
        self,
        *,
        on_stop: Callable[[], object],
        on_reload: Callable[[], object],
        exit: Callable[[int], object] = os._exit,
    ) -> None:
        self._on_stop = on_stop
        self._on_reload = on_reload
        self._exit = exit
        self._stopping = False
        self._loop: asyncio.AbstractEventLoop

    async def __aenter__(self) -> Self:
        """Take the signals over; only possible on the main thread."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_signal_handler(signal.SIGTERM, self._stop, signal.SIGTERM)
        self._loop.add_signal_handler(signal.SIGINT, self._stop, signal.SIGINT)
        self._loop.add_signal_handler(signal.SIGHUP, self._reload)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Give the signals back to Python's defaults."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            self._loop.remove_signal_handler(number)

    def _stop(self, number: signal.Signals) -> None:
        if self._stopping:
            # Whoever asks twice does not want to wait for a drain that hangs. The exit code is
            # the shell's for death by a signal; nothing is committed, so nothing is lost.
            self._exit(128 + number)
        else:
            self._stopping = True
            self._on_stop()

    def _reload(self) -> None:
        if not self._stopping:
            self._on_reload()
