"""Runs a coroutine on an event loop."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

import uvloop

from consumer.cancellation import end_tasks
from consumer.logs import log_uncaught

ResultT = TypeVar("ResultT")

_AGAIN_SECONDS: Final = 5.0
"""Time in which what Ctrl-C has cancelled closes its connections."""


def run_on_loop(
    main: Callable[[], Coroutine[Any, Any, ResultT]],
    *,
    process_ends: bool = False,
    again_seconds: float = _AGAIN_SECONDS,
) -> ResultT:
    """Run `main()` on uvloop; an exception that escapes a callback or task is logged once.

    Ctrl-C cancels it, again every `again_seconds` until it has ended, and raises
    `KeyboardInterrupt`, or returns what it still returns.

    With `process_ends` the loop is not closed, since that would wait for threads that may hang in a
    name lookup or a read.
    """

    async def on_loop() -> ResultT:
        asyncio.get_running_loop().set_exception_handler(log_uncaught)
        task = asyncio.ensure_future(main())
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            await end_tasks([task], again_seconds)
        return task.result()

    runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    try:
        return runner.run(on_loop())
    finally:
        if not process_ends:
            runner.close()
