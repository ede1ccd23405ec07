"""Runs a coroutine on an event loop."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import uvloop

from consumer.logs import log_uncaught

ResultT = TypeVar("ResultT")


def run_on_loop(
    main: Callable[[], Coroutine[Any, Any, ResultT]], *, process_ends: bool = False
) -> ResultT:
    """Run `main()` on uvloop; an exception that escapes a callback or task is logged once.

    With `process_ends` the loop is not closed, since that would wait for threads that may hang in a
    name lookup or a read.
    """

    async def on_loop() -> ResultT:
        asyncio.get_running_loop().set_exception_handler(log_uncaught)
        return await main()

    runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    try:
        return runner.run(on_loop())
    finally:
        if not process_ends:
            runner.close()
