"""The reports of the last day, kept for a while: the list of hooks must not wait for them."""

import asyncio
from collections.abc import Mapping
from typing import Final

from consumer.clock import Clock
from consumer.errors import HookstreamError
from consumer.logs import get_logger
from consumer.panel.pages.data import Data
from consumer.panel.pages.figures import Day, days

log = get_logger(__name__)

FRESH_SECONDS: Final = 15.0
"""Age from which they are read again."""
STALE_SECONDS: Final = 300.0
"""Age from which they are not shown while newer ones are read."""
WAIT_SECONDS: Final = 0.1
"""How long a page waits for newer ones before it shows those that there are."""


class DayReports:
    """The last 24 hours of all hooks, read once for all who ask at the same time."""

    def __init__(self, data: Data, clock: Clock) -> None:
        self._data = data
        self._clock = clock
        self._days: Mapping[str, Day] = {}
        self._at = float("-inf")
        self._reading: asyncio.Task[None] | None = None

    async def get(self) -> Mapping[str, Day] | None:
        """By hook; None: they are not known yet, or cannot be read."""
        if self._age() > FRESH_SECONDS:
            if self._reading is None or self._reading.done():
                self._reading = asyncio.get_running_loop().create_task(self._read())
            await asyncio.wait([self._reading], timeout=WAIT_SECONDS)
        return self._days if self._age() <= STALE_SECONDS else None

    async def close(self) -> None:
        """End a reading that is under way."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])

    def _age(self) -> float:
        return self._clock.monotonic() - self._at

    async def _read(self) -> None:
        try:
            found = await self._data.reports({"since": "24h"})
        except HookstreamError as error:
            log.warning("reports cannot be read", error=str(error))
            return
        self._days = await asyncio.to_thread(days, found.reports, self._clock.now())
        self._at = self._clock.monotonic()
