"""A coroutine on a loop of its own, and what Ctrl-C does to it."""

import asyncio
import os
import signal

import pytest

from consumer.cli.process import run_on_loop


async def _forgets_one_cancellation() -> None:
    """As `asyncio.wait_for` of Python 3.11, if the result and Ctrl-C come in the same turn."""
    os.kill(os.getpid(), signal.SIGINT)
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        await asyncio.Event().wait()


async def _ends_in_order(ended: list[bool]) -> None:
    os.kill(os.getpid(), signal.SIGINT)
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0)
        ended.append(True)


def test_a_cancellation_that_a_library_forgets_is_repeated() -> None:
    """Ctrl-C ends a command though a library took the cancellation for its own and forgot it."""
    with pytest.raises(KeyboardInterrupt):
        run_on_loop(_forgets_one_cancellation, again_seconds=0.01)


def test_what_closes_is_waited_for() -> None:
    """At Ctrl-C a command closes its connections before it ends."""
    ended: list[bool] = []
    with pytest.raises(KeyboardInterrupt):
        run_on_loop(lambda: _ends_in_order(ended))
    assert ended == [True]


def test_a_result_or_an_error_is_passed_on() -> None:
    """Without Ctrl-C the coroutine's result is returned, and its error is raised."""

    async def result() -> int:
        return 3

    async def error() -> None:
        raise ValueError("wrong")

    assert run_on_loop(result) == 3
    with pytest.raises(ValueError, match="wrong"):
        run_on_loop(error)
