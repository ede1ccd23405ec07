"""Reloads settings and hooks on request: all or nothing."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar

from consumer.background import in_thread
from consumer.errors import ConfigError, HookstreamError
from consumer.logs import get_logger
from consumer.metrics import Metrics
from consumer.settings import Settings
from consumer.systemd import ServiceManager

log = get_logger(__name__)

FIXED_SECTIONS = ("kafka", "sources", "admin")
FIXED_SETTINGS = (
    ("retry", "delays"),
    ("delivery", "transport"),
    ("delivery_log", "is_on"),
    ("hooks", "live"),
    ("tracing", "endpoint"),
    ("schema_registry", "url"),
)
"""Settings that hold for the life of the process; `is_on` follows from two."""

LoadedT = TypeVar("LoadedT")


class Reloader(Generic[LoadedT]):
    """One reload at a time; requests that come while one runs make one more.

    `load` reads and validates in a thread and may take seconds; `apply` puts the result in use
    on the loop's thread and must not fail half-way: it raises before it changes anything. The
    function that it returns is called in a thread, for slow work that cannot fail.
    """

    def __init__(
        self,
        load: Callable[[], LoadedT],
        apply: Callable[[LoadedT], Callable[[], None]],
        metrics: Metrics,
        systemd: ServiceManager,
    ) -> None:
        self._load = load
        self._apply = apply
        self._metrics = metrics
        self._systemd = systemd
        self._requested = asyncio.Event()

    def request(self) -> None:
        """Ask for a reload; returns at once."""
        self._requested.set()

    async def run(self) -> None:
        """Serve requests until cancelled."""
        while True:
            await self._requested.wait()
            self._requested.clear()
            self._systemd.reloading()
            try:
                finish = self._apply(await in_thread(self._load))
            except Exception as error:  # noqa: BLE001  # on any error the old ones stay
                self._metrics.reload_failed()
                await in_thread(partial(_tell, error))
            else:
                self._metrics.reload_succeeded()
                await in_thread(finish)
            self._systemd.reloaded()


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
            problems, cause = [str(problem) for problem in error.diagnostics], None
        case HookstreamError():
            problems, cause = [str(error)], None
        case bug:
            problems, cause = ["not foreseen; please report it"], bug
    log.error("reload refused; the old settings and hooks stay", cause=cause, problems=problems)
