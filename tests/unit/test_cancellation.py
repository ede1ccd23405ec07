"""Ending tasks that wait for aiokafka."""

import asyncio
from contextlib import suppress

from consumer.cancellation import end_tasks


async def _forgets_one_cancellation() -> None:
    """Do as `asyncio.wait_for` of Python 3.11 in a loop, if an answer comes with a cancellation."""
    with suppress(asyncio.CancelledError):
        await asyncio.Event().wait()
    await asyncio.Event().wait()


async def _fails() -> None:
    raise ValueError


async def test_a_task_that_forgets_a_cancellation_ends() -> None:
    """Tasks are cancelled until all have ended, and what one raises does no harm to the others."""
    begun = [asyncio.ensure_future(_forgets_one_cancellation()), asyncio.ensure_future(_fails())]
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await end_tasks(begun, 0.01)
    assert begun[0].cancelled()
    assert isinstance(begun[1].exception(), ValueError)
