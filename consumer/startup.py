"""Runs the start so that a stop can interrupt it."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from consumer.logs import get_logger

log = get_logger(__name__)

CANCEL_SECONDS = 1.0
"""Time for a cancelled start to close what it opened."""


async def start_unless_stopped(start: Coroutine[Any, Any, None], stop: asyncio.Event) -> bool:
    """Run `start` without a time limit. If `stop` is set first, cancel it, wait up to
    `CANCEL_SECONDS`, and return false.
    """
    starting = asyncio.ensure_future(start)
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            await starting
            return True
        log.info("stopped before the start was complete")
        starting.cancel()
        done, _ = await asyncio.wait({starting}, timeout=CANCEL_SECONDS)
        for task in done:
            if not task.cancelled() and (error := task.exception()) is not None:
                log.debug("the start failed when it was stopped", error=repr(error))
        return False
    finally:
        starting.cancel()
        stopping.cancel()
