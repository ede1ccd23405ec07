"""Ends tasks that wait for libraries which forget a cancellation."""

import asyncio
from collections.abc import Iterable
from typing import Any, Final

AGAIN_SECONDS: Final = 0.5
"""After this a task that has not ended is cancelled again."""


async def end_tasks(
    tasks: Iterable[asyncio.Task[Any]], again_seconds: float = AGAIN_SECONDS
) -> None:
    """Cancel tasks until each has ended, every `again_seconds`; what they raise is not passed on.

    Once is not enough: aiokafka waits with `asyncio.wait_for`, which in Python 3.11 returns the
    result, and forgets a cancellation that comes in the same turn of the loop.
    """
    every = list(tasks)
    left: Iterable[asyncio.Task[Any]] = every
    while left := [task for task in left if not task.done()]:
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=again_seconds)
    await asyncio.gather(*every, return_exceptions=True)
