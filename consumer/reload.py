"""Reloads settings and hooks on request: all or nothing."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar

from consumer.clock import Clock
from consumer.errors import ConfigError, HookstreamError
from consumer.logs import get_logger
from consumer.metrics import Metrics
from consumer.settings import Settings
from consumer.throttle import Throttle, throttled, unhurried

log = get_logger(__name__)

FIXED_SECTIONS = ("kafka", "sources", "admin")
FIXED_SETTINGS = (("retry", "delays"), ("delivery", "transport"))
"""What holds for the life of the process."""

LoadedT = TypeVar("LoadedT")
ResultT = TypeVar("ResultT")


class Reloader(Generic[LoadedT]):
    """One reload at a time; requests that come while one runs make one more.

    `load` reads and validates in a thread and may take seconds; `apply` puts the result in use
    on the loop's thread and must not fail half-way: it raises before it changes anything. What it
    returns is called in a thread: whatever else takes long and cannot fail.
    """

    def __init__(
        self,
        load: Callable[[], LoadedT],
        apply: Callable[[LoadedT], Callable[[], None]],
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._load = load
        self._apply = apply
        self._metrics = metrics
        self._clock = clock
        self._requested = asyncio.Event()

    def request(self) -> None:
        """Ask for a reload; returns at once."""
        self._requested.set()

    async def run(self) -> None:
        """Serve requests until cancelled."""
        while True:
            await self._requested.wait()
            self._requested.clear()
            try:
                finish = self._apply(await self._in_thread(self._load))
            except Exception as error:  # noqa: BLE001  # whatever it is, the old ones stay
                self._metrics.reload_failed()
                await self._in_thread(partial(_tell, error))
            else:
                self._metrics.reload_succeeded()
                await self._in_thread(finish)

    async def _in_thread(self, work: Callable[[], ResultT]) -> ResultT:
        pace = Throttle(self._clock)
        try:
            return await asyncio.to_thread(throttled, pace, work)
        finally:
            pace.give_up()  # where the daemon stops meanwhile: its end waits for every thread


def refuse_fixed(before: Settings, after: Settings) -> None:
    """Raise `HookstreamError` if settings differ that hold for the life of the process."""
    changed = [name for name in FIXED_SECTIONS if getattr(before, name) != getattr(after, name)]
    changed += [
        f"{section}.{name}"
        for section, name in FIXED_SETTINGS
        if getattr(getattr(before, section), name) != getattr(getattr(after, section), name)
    ]
    if changed:
        raise HookstreamError(
            f"changed: {', '.join(changed)}: restart the daemon for these, or change them back"
        )


def _tell(error: Exception) -> None:
    match error:
        case ConfigError():
            problems, cause = [str(problem) for problem in unhurried(error.diagnostics)], None
        case HookstreamError():
            problems, cause = [str(error)], None
        case bug:
            problems, cause = ["not foreseen; please report it"], bug
    log.error("reload refused; the old settings and hooks stay", cause=cause, problems=problems)
