"""Long work in a thread beside the event loop: short turns, and rests between them.

Only one thread at a time runs Python. A loop that has deliveries to make asks for the interpreter
many times in each of its turns, and beside a thread that always wants it would wait each time.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from typing import TypeVar

from consumer.clock import Clock

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

_SLICE_SECONDS = 0.01
"""Seconds of work."""
_REST_SECONDS = 0.01
"""Seconds between two turns."""


class GivenUpError(Exception):
    """Nobody waits for this work any more."""


class Throttle:
    """Turns of `turn` seconds, each followed by a rest of `rest` seconds."""

    def __init__(
        self,
        clock: Clock,
        *,
        turn: float = _SLICE_SECONDS,
        rest: float = _REST_SECONDS,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._now = clock.monotonic
        self._turn = turn
        self._rest = rest
        self._sleep = sleep
        self._until = self._now() + turn
        self._given_up = False

    def give_up(self) -> None:
        """End the work, from any thread: nobody waits for it any more."""
        self._given_up = True

    def through(self, items: Iterable[ItemT]) -> Iterator[ItemT]:
        """Give each of `items`, after a rest where its turn is over. Several may go side by side:
        the turns are those of all together. Raises `GivenUpError`.
        """
        for item in items:
            if self._given_up:
                raise GivenUpError
            if self._now() >= self._until:
                self._sleep(self._rest)
                self._until = self._now() + self._turn
            yield item


_PACE: ContextVar[Throttle] = ContextVar("_PACE")


def throttled(pace: Throttle, work: Callable[[], ResultT]) -> ResultT:
    """Do `work`, whose loops over `unhurried` items then keep to `pace`."""
    token = _PACE.set(pace)
    try:
        return work()
    finally:
        _PACE.reset(token)


def unhurried(items: Iterable[ItemT]) -> Iterable[ItemT]:
    """Items of a loop that may take long: at the pace of whoever asked for the work, if any."""
    pace = _PACE.get(None)
    return items if pace is None else pace.through(items)
