"""An event loop whose time passes only when nothing is left to do."""

import asyncio
from collections.abc import Coroutine
from selectors import SelectorKey, SelectSelector
from typing import Any, TypeVar

ResultT = TypeVar("ResultT")

_EPOCH = 1_800_000_000.0
_START = 1_000.0


class DeadlockError(Exception):
    """Every task waits for another one, and no timer runs."""


class _Timeless(SelectSelector):
    """A selector that lets the time pass at once; no file is ever ready."""

    def __init__(self) -> None:
        super().__init__()
        self.now = _START

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        if timeout is None:
            raise DeadlockError("nothing is scheduled: every task waits for another one")
        self.now += max(0.0, timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop for tasks that use no files, threads or processes."""

    def __init__(self) -> None:
        self._timeless = _Timeless()
        super().__init__(self._timeless)

    def time(self) -> float:
        """Virtual seconds."""
        return self._timeless.now


class VirtualClock:
    """The daemon's clock on the virtual time of a loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.monotonic = loop.time

    def now(self) -> float:
        """See `Clock.now`."""
        return _EPOCH + self.monotonic()


def run_virtually(main: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Run `main` to its end; what it leaves behind is cancelled."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(main)
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.close()
