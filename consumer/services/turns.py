"""A few expensive reads at a time; others wait for their turn, as long as they may."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from consumer.services.topic_view import BusyError


class Turns:
    """At most so many at a time."""

    def __init__(self, number: int, busy: str) -> None:
        """`busy`: what is told to one that waited for too long."""
        self._slots = asyncio.Semaphore(number)
        self._busy = busy

    @asynccontextmanager
    async def take(self, wait_seconds: float | None) -> AsyncIterator[None]:
        """Wait for a turn and have it; None: for as long as the caller waits.

        Raises:
            BusyError: none came within `wait_seconds`.
        """
        try:
            async with asyncio.timeout(wait_seconds):
                await self._slots.acquire()
        except TimeoutError:
            raise BusyError(self._busy) from None
        try:
            yield
        finally:
            self._slots.release()
