"""Reloads settings and hooks on request: all or nothing."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

from consumer.errors import ConfigError, HookstreamError
from consumer.logs import get_logger
from consumer.metrics import Metrics

log = get_logger(__name__)

LoadedT = TypeVar("LoadedT")


class Reloader(Generic[LoadedT]):
    """One reload at a time; requests that come while one runs make one more.

    `load` reads and validates in a thread and may take seconds; `apply` puts the result in use
    on the loop's thread and must not fail half-way: it raises before it changes anything.
    """

    def __init__(
        self, load: Callable[[], LoadedT], apply: Callable[[LoadedT], None], metrics: Metrics
    ) -> None:
        self._load = load
        self._apply = apply
        self._metrics = metrics
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
                self._apply(await asyncio.to_thread(self._load))
            except ConfigError as error:
                self._refused([str(problem) for problem in error.problems])
            except HookstreamError as error:
                self._refused([str(error)])
            except Exception as bug:  # noqa: BLE001  # whatever it is, the old ones stay
                self._refused(["not foreseen; please report it"], cause=bug)
            else:
                self._metrics.reload_succeeded()

    def _refused(self, problems: list[str], cause: Exception | None = None) -> None:
        self._metrics.reload_failed()
        log.error("reload refused; the old settings and hooks stay", cause=cause, problems=problems)
