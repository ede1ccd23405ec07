"""Long work in a thread, beside an event loop that must go on."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TypeVar

from consumer.collector import gc_paused

SWITCH_SECONDS = 0.0005
"""Interval in which a thread that loads gives the interpreter to the event loop. The loop asks for
it several times for each delivery, and with Python's 5 ms it would wait each time
(ARCHITECTURE.md#loading-hooks)."""

ResultT = TypeVar("ResultT")


class _Interval:
    """The switch interval, short while any thread wants it so."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._users = 0
        self._usual = 0.0

    @contextmanager
    def short(self) -> Iterator[None]:
        with self._lock:
            if not self._users:
                self._usual = sys.getswitchinterval()
                sys.setswitchinterval(SWITCH_SECONDS)
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    sys.setswitchinterval(self._usual)


_INTERVAL = _Interval()


def briefly(work: Callable[[], ResultT]) -> ResultT:
    """Do short work in a thread other than the loop's, so that the loop gets in between."""
    with _INTERVAL.short():
        return work()


def beside_the_loop(work: Callable[[], ResultT]) -> ResultT:
    """Do work that makes long-lived objects, in a thread other than the loop's; several threads may
    do so at a time.
    """
    with _INTERVAL.short(), gc_paused():
        return work()


async def in_thread(work: Callable[[], ResultT]) -> ResultT:
    """Do the work of `beside_the_loop`, and wait for it: the loop goes on meanwhile."""
    return await asyncio.to_thread(beside_the_loop, work)
