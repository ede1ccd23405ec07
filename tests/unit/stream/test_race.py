"""The staggered race: the first success wins, and all else is closed."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.stream.race import AllFailedError, race

STAGGER = 0.005
_ERRORS = {
    "fails": OSError("away"),
    "cancels": asyncio.CancelledError(),
    "bug": RuntimeError("not foreseen"),
}
Attempt = Callable[[], Awaitable[int]]


async def _do(what: str) -> None:
    if what == "hangs":
        await asyncio.get_running_loop().create_future()
    await asyncio.sleep(0)
    if what in _ERRORS:
        raise _ERRORS[what]


class Runners:
    """Attempts that are told what to do, and what became of them."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.open: set[int] = set()
        self.discarded: list[int] = []

    def attempt(self, number: int, does: str) -> Attempt:
        """One that `succeeds`, `fails`, `hangs`, or raises a `bug`."""

        async def attempt() -> int:
            self.begun.append(number)
            self.open.add(number)
            try:
                await _do(does)
            except BaseException:
                self.open.discard(number)
                raise
            return number

        return attempt

    async def run(self, *does: str) -> int:
        """The winner's number."""
        attempts = [self.attempt(number, what) for number, what in enumerate(does)]
        return await race(attempts, stagger=STAGGER, failures=(OSError,), discard=self.discard)

    def discard(self, number: int) -> None:
        """It came too late."""
        self.discarded.append(number)
        self.open.discard(number)


async def test_a_prompt_success_is_the_only_attempt() -> None:
    """If the first attempt succeeds in time it is the only one."""
    runners = Runners()
    assert await runners.run("succeeds", "succeeds", "bug") == 0
    assert runners.begun == [0]


async def test_a_failure_begins_the_next_attempt_at_once() -> None:
    """A failure begins the next attempt at once, without the stagger."""
    runners = Runners()
    attempts = [runners.attempt(0, "fails"), runners.attempt(1, "succeeds")]
    async with asyncio.timeout(10):
        assert await race(attempts, stagger=3_600, failures=(OSError,)) == 1


async def test_a_bug_ends_the_race() -> None:
    """An unexpected exception ends the race."""
    runners = Runners()
    with pytest.raises(RuntimeError):
        await runners.run("hangs", "bug", "succeeds")
    assert runners.open == set()


async def test_a_race_that_is_cancelled_leaves_nothing_open() -> None:
    """A race that is cancelled cancels its attempts and leaves nothing open."""
    runners = Runners()
    running = asyncio.create_task(runners.run("hangs", "hangs"))
    while len(runners.begun) < 2:  # noqa: ASYNC110  # attempts begin by time
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert runners.open == set()


@given(st.lists(st.sampled_from(["succeeds", "fails", "hangs", "cancels"]), max_size=5))
async def test_whatever_the_others_do(does: list[str]) -> None:
    """One success among silent and failing attempts wins and all others are closed; without one,
    each attempt has its cause.
    """
    runners = Runners()
    if "succeeds" in does:
        winner = await runners.run(*does)
        assert does[winner] == "succeeds"
        assert runners.open == {winner}
    elif "hangs" not in does:
        with pytest.raises(AllFailedError) as caught:
            await runners.run(*does)
        assert len(caught.value.causes) == len(does)
        assert runners.open == set()
