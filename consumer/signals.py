"""The signals that the daemon obeys, from the first instant of its process.

As process 1 of a container the kernel drops every signal that has no handler, and elsewhere
SIGHUP ends a process that does not handle it yet. So the handlers are Python's own and not those
of an event loop, which begins much later, and this module imports nothing that takes long.
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
    """Let the signals through that whoever started this process held back: `env --block-signal`
    in the image, or a parent process that blocks them and hands that on.
    """
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HANDLED_SIGNALS)


class Signals:
    """`SIGTERM` and `SIGINT` stop, a second one exits at once, `SIGHUP` reloads.

    There are three spans of time. Before `told` is entered nothing is under way: the first
    `SIGTERM` ends the process, with exit code 0, and a `SIGHUP` is remembered. While it is entered
    its callbacks are called. Afterwards the process is about to end, and a second `SIGTERM` alone
    has an effect.

    The handlers run between two bytecodes of the main thread, so a second `SIGTERM` is obeyed
    even if the event loop is stuck.
    """

    def __init__(self, exit: Callable[[int], object] = os._exit) -> None:
        self._exit = exit
        self._stopping = False
        self._ended = False
        self._reload_wanted = False
        self._schedule: Callable[[Call], object] | None = None
        self._on_stop: Call
        self._on_reload: Call

    def take_over(self) -> None:
        """Install the handlers; only possible on the main thread. A second call changes nothing."""
        for number in _STOP_SIGNALS:
            signal.signal(number, self._stop)
        signal.signal(signal.SIGHUP, self._reload)
        unblock()

    @contextmanager
    def lent(self) -> Iterator["Signals"]:
        """Take over while entered, and give back what was there before: for a command that stops
        in order and does not end with that.
        """
        before = {number: signal.getsignal(number) for number in _HANDLED_SIGNALS}
        self.take_over()
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def told(
        self, schedule: Callable[[Call], object], *, on_stop: Call, on_reload: Call
    ) -> Iterator[None]:
        """Call `on_stop` and `on_reload` by way of `schedule`, which a signal handler must be
        allowed to call (`loop.call_soon_threadsafe`). A `SIGHUP` from before is told at once.
        """
        self._on_stop, self._on_reload = on_stop, on_reload
        self._schedule = schedule  # from here on the handlers tell
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
            # A second signal means: do not wait for a drain that hangs. The exit code is the
            # shell's for death by a signal; nothing is committed, so nothing is lost.
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
"""Those of this process."""
