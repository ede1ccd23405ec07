"""A staggered race between several attempts for the same answer (RFC 8305)."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

ResultT = TypeVar("ResultT")


class AllFailedError(Exception):
    """No attempt succeeded."""

    def __init__(self, causes: Sequence[Exception]) -> None:
        super().__init__(*causes)
        self.causes = causes
        """One error per attempt, in their order."""


def _ignore(_result: object) -> None:
    pass


async def race(
    attempts: Sequence[Callable[[], Awaitable[ResultT]]],
    *,
    stagger: float,
    failures: tuple[type[Exception], ...],
    discard: Callable[[ResultT], object] = _ignore,
) -> ResultT:
    """Return the first success of attempts that start one after the other (RFC 8305, section 5):
    the next one after a failure, or after `stagger` seconds without an answer, while the others
    continue.

    An attempt fails by an error of `failures`; any other error ends the race and is raised. A
    cancelled attempt must release its resources; a late success is passed to `discard`.

    Raises:
        AllFailedError: no attempt succeeded.
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
    """Return the result of a `race`; if all attempts fail, raise the first one's error."""
    try:
        return await race(attempts, stagger=stagger, failures=failures, discard=discard)
    except AllFailedError as error:
        causes = error.causes
    try:
        raise causes[0]  # outside the handler, to avoid a cycle of causes
    finally:
        del causes


def _cause(attempt: "asyncio.Future[ResultT]") -> Exception:
    error = None if attempt.cancelled() else attempt.exception()
    return error if isinstance(error, Exception) else TimeoutError("cancelled")
