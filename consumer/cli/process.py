"""The process around a coroutine: event loop, garbage collector."""

import asyncio
import gc
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import uvloop

from consumer.logs import log_uncaught

ResultT = TypeVar("ResultT")

_GC_THRESHOLDS = (50_000, 20, 20)


def run_on_loop(
    main: Callable[[], Coroutine[Any, Any, ResultT]], *, process_ends: bool = False
) -> ResultT:
    """Run `main()` on uvloop; what escapes a callback or task is logged once.

    With `process_ends` the loop is not closed: that would wait for threads which may look up a
    name, or read a file, that never answers.
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


@contextmanager
def gc_paused() -> Iterator[None]:
    """Build what stays, without the garbage collector: neither while it is built, nor ever after,
    does it pass over what is there. A hundred thousand hooks would cost it half of the load's time,
    and each pass over them would hold up every delivery. There are no cycles among them: they are
    freed when they are replaced. May be used inside itself.

    What is garbage before a reload is collected first: frozen, it would stay for ever.
    """
    usual = gc.isenabled()
    if usual and gc.get_freeze_count():  # the process was started before: little is not frozen
        gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if usual:
            gc.enable()


def tune_gc() -> None:
    """After start-up: tell the garbage collector what it need not look at.

    Modules, settings and hooks live as long as the process, so they leave its generations. Events
    and deliveries are freed by their reference counts; the default threshold of 700 would have
    cycles looked for every few events, in vain, at 4 % of the CPU. A rare cycle waits longer now,
    never for ever.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
