"""A staggered race: of several ways to the same answer, the first that leads there."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

ResultT = TypeVar("ResultT")


class AllFailedError(Exception):
    """No attempt succeeded."""

    def __init__(self, causes: Sequence[Exception]) -> None:
        super().__init__(*causes)
        self.causes = causes
        """One for each attempt, in their order."""


def _ignore(_result: object) -> None:
    pass


async def race(
    attempts: Sequence[Callable[[], Awaitable[ResultT]]],
    *,
    stagger: float,
    failures: tuple[type[Exception], ...],
    discard: Callable[[ResultT], object] = _ignore,
) -> ResultT:
    """The first success of attempts that begin one after the other (RFC 8305, section 5): the next
    one when one has failed, or when none has answered within `stagger` seconds. Those that were
    begun go on meanwhile.

    An attempt fails by an error of `failures`; any other error ends the race and is raised. An
    attempt that is cancelled must leave nothing open; a success that comes too late is given to
    `discard`.

    Raises:
        AllFailedError: there is no success.
    """
    running: list[asyncio.Future[ResultT]] = []

    def failed(attempt: "asyncio.Future[ResultT]") -> bool:
        return attempt.cancelled() or isinstance(attempt.exception(), failures)

    try:
        for number, attempt in enumerate(attempts, 1):
            running.append(asyncio.ensure_future(attempt()))
            last = number == len(attempts)
            while pending := [attempt for attempt in running if not attempt.done()]:
                done, _ = await asyncio.wait(
                    pending,
                    timeout=None if last else stagger,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                for winner in done:
                    if not failed(winner):
                        running.remove(winner)
                        return winner.result()
                if not last:
                    break
        raise AllFailedError([_cause(attempt) for attempt in running])
    finally:
        for begun in running:
            begun.cancel()
        for late in await asyncio.gather(*running, return_exceptions=True):
            if not isinstance(late, BaseException):
                discard(late)


async def first_success(
    attempts: Sequence[Callable[[], Awaitable[ResultT]]],
    *,
    stagger: float,
    failures: tuple[type[Exception], ...],
    discard: Callable[[ResultT], object] = _ignore,
) -> ResultT:
    """The result of a `race` between one attempt or more. If there is none, the first attempt's
    failure is raised.
    """
    try:
        return await race(attempts, stagger=stagger, failures=failures, discard=discard)
    except AllFailedError as error:
        causes = error.causes
    try:
        raise causes[0]  # not in the handler: each would be the other's cause, in a cycle
    finally:
        del causes


def _cause(attempt: "asyncio.Future[ResultT]") -> Exception:
    error = None if attempt.cancelled() else attempt.exception()
    return error if isinstance(error, Exception) else TimeoutError("cancelled")
