"""The last events of each trigger, read once for all who look at them within some seconds."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from consumer.clock import Clock
from consumer.errors import HookstreamError
from consumer.events.triggers import Trigger
from consumer.panel.pages.data import Data, Recent
from consumer.panel.pages.trial import TRIED

WINDOW_SECONDS: Final = 10.0
"""How long events count as the last ones: a form asks for them at each keystroke."""


@dataclass(slots=True)
class _Reading:
    task: asyncio.Task[Recent]
    started_at: float


class RecentWindow:
    """The last `TRIED` events of each trigger that was asked for within the last seconds. Of one
    trigger they are read once at a time.
    """

    def __init__(
        self,
        data: Data,
        clock: Clock,
        timer: Callable[[float, Callable[[], object]], object] | None = None,
    ) -> None:
        """`timer`: by default `loop.call_later` of the running loop."""
        self._data = data
        self._clock = clock
        self._timer = timer
        self._readings: dict[Trigger, _Reading] = {}

    async def get(self, trigger: Trigger, seconds: float | None = None) -> Recent | None:
        """The last events; None: they are not there within `seconds`, and are read on.

        Raises:
            HookstreamError: they cannot be read.
        """
        self._forget()
        reading = self._readings.get(trigger)
        if reading is None:
            task = asyncio.create_task(self._data.events(trigger, TRIED))
            task.add_done_callback(self._read)
            reading = self._readings[trigger] = _Reading(task, self._clock.monotonic())
        done, _ = await asyncio.wait([reading.task], timeout=seconds)
        if not done:
            return None
        try:
            return reading.task.result()
        except HookstreamError:
            if self._readings.get(trigger) is reading:
                del self._readings[trigger]  # the next one tries again
            raise

    def _read(self, task: asyncio.Task[Recent]) -> None:
        """Take an error that no page waits for any more, and let the events go in time, also if no
        page asks again.
        """
        if not task.cancelled():
            task.exception()
        timer = self._timer if self._timer is not None else task.get_loop().call_later
        timer(WINDOW_SECONDS + 1.0, self._forget)

    def _forget(self) -> None:
        """Let go what is too old: events are users' data, and may be large."""
        oldest = self._clock.monotonic() - WINDOW_SECONDS
        for trigger, reading in list(self._readings.items()):
            if reading.task.done() and reading.started_at < oldest:
                del self._readings[trigger]

    async def close(self) -> None:
        """End what is read."""
        tasks = [reading.task for reading in self._readings.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._readings.clear()
