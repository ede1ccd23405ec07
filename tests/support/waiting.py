"""Waiting for a condition that is sure to come true, without guessing how long it takes."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Any, TypeVar, cast, overload

ResultT = TypeVar("ResultT")

_GLANCE = 0.02
PATIENCE = 45.0
"""Seconds: only a broken promise takes longer, however busy the machine is."""


@overload
async def wait_until(
    condition: Callable[[], Awaitable[ResultT]], what: str, *, patience: float = PATIENCE
) -> ResultT: ...
@overload
async def wait_until(
    condition: Callable[[], ResultT], what: str, *, patience: float = PATIENCE
) -> ResultT: ...
async def wait_until(
    condition: Callable[[], Any], what: str, *, patience: float = PATIENCE
) -> object:
    """The first true result of `condition`, which may be a coroutine function.

    Raises:
        AssertionError: none came within `patience` seconds; says `what` was waited for.
    """
    deadline = time.monotonic() + patience
    while True:
        found = condition()
        result = await cast("Awaitable[object]", found) if isawaitable(found) else found
        if result:
            return result
        assert time.monotonic() < deadline, f"waited {patience:.0f} s for {what}; last: {result!r}"
        await asyncio.sleep(_GLANCE)
