"""Signal handlers of the daemon and the panel, from the start of their process.

The kernel drops signals without a handler for process 1 of a container, and elsewhere SIGHUP ends
a process that does not handle it. So the handlers are Python's own, not those of an event loop,
which starts much later, and this module imports nothing slow.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_HANDLED_SIGNALS = (*_STOP_SIGNALS, signal.SIGHUP)

Call = Callable[[], object]


def unblock() -> None:
    """Unblock signals that the parent process has blocked, as `env --block-signal` does."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HANDLED_SIGNALS)


class Signals:
    """Handlers: `SIGTERM` and `SIGINT` stop, a second one exits at once, `SIGHUP` reloads.

    Before `calling` is entered nothing is running: the first `SIGTERM` ends the process with exit
    code 0, and a `SIGHUP` is remembered. While it is entered, its callbacks are called. Afterwards
    the process is about to end, and only a second `SIGTERM` has an effect.

    The handlers run between two bytecodes of the main thread, so a second `SIGTERM` works even if
    the event loop is stuck.
    """

    def __init__(self, exit: Callable[[int], object] = os._exit) -> None:
        self._exit = exit
        self._stopping = False
        self._ended = False
        self._reload_wanted = False
        self._schedule: Callable[[Call], object] | None = None
        self._on_stop: Call
        self._on_reload: Call

    def install(self) -> None:
        """Install the handlers, on the main thread only. Idempotent."""
        for number in _STOP_SIGNALS:
            signal.signal(number, self._stop)
        signal.signal(signal.SIGHUP, self._reload)
        unblock()

    @contextmanager
    def installed(self) -> Iterator["Signals"]:
        """Install the handlers while entered, then restore the former ones: for a command that
        continues after an orderly stop.
        """
        before = {number: signal.getsignal(number) for number in _HANDLED_SIGNALS}
        self.install()
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def calling(
        self, schedule: Callable[[Call], object], *, on_stop: Call, on_reload: Call
    ) -> Iterator[None]:
        """Call `on_stop` and `on_reload` by `schedule`, which must be safe in a signal handler
        (`loop.call_soon_threadsafe`). A remembered `SIGHUP` is scheduled at once.
        """
        self._on_stop, self._on_reload = on_stop, on_reload
        self._schedule = schedule  # from here on the handlers use it
        if self._reload_wanted:
            self._reload_wanted = False
            schedule(on_reload)
        try:
            yield
        finally:
            self._ended = True
            self._schedule = None

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        if self._stopping:
            # A second signal interrupts a stuck drain. The exit code is the shell's for death by a
            # signal; nothing is committed, so nothing is lost.
            self._exit(128 + number)
            return
        self._stopping = True
        if self._schedule is not None:
            self._schedule(self._on_stop)
        elif not self._ended:
            self._exit(0)

    def _reload(self, _number: int, _frame: FrameType | None) -> None:
        if self._stopping or self._ended:
            return
        if self._schedule is not None:
            self._schedule(self._on_reload)
        else:
            self._reload_wanted = True


PROCESS = Signals()
"""The handlers of this process."""
