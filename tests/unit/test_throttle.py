"""Long work in turns, with rests between them."""

import pytest

from consumer.throttle import GivenUpError, Throttle, throttled, unhurried
from support.fakes import FakeClock


class Worker:
    """Work of which each item takes `item` seconds, and its rests."""

    def __init__(self, item: float) -> None:
        self.clock = FakeClock()
        self.done: list[object] = []
        """Items, and the seconds of rests between them."""
        self._item = item

    def pace(self, turn: float, rest: float) -> Throttle:
        """One that rests without waiting."""
        return Throttle(self.clock, turn=turn, rest=rest, sleep=self._rest)

    def work(self, *items: object) -> None:
        """Do them."""
        for item in unhurried(items):
            self.clock.advance(self._item)
            self.done.append(item)

    def _rest(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.done.append(seconds)


def test_a_turn_is_followed_by_a_rest() -> None:
    """Of the length that was asked for, before the first item that would come after the turn."""
    worker = Worker(item=1.0)
    throttled(worker.pace(turn=2.0, rest=7.0), lambda: worker.work("a", "b", "c", "d", "e"))
    assert worker.done == ["a", "b", 7.0, "c", "d", 7.0, "e"]


def test_loops_within_one_work_share_its_turns() -> None:
    """However many there are: many short files are long work, too."""
    worker = Worker(item=1.0)

    def work() -> None:
        for part in unhurried(("abc", "de")):
            worker.work(*part)

    throttled(worker.pace(turn=2.0, rest=7.0), work)
    assert worker.done == ["a", "b", 7.0, "c", "d", 7.0, "e"]


def test_work_that_is_given_up_ends() -> None:
    """With its next item, in the middle of a turn too."""
    worker = Worker(item=1.0)
    pace = worker.pace(turn=60.0, rest=7.0)

    def work() -> None:
        worker.work("a", "b")
        pace.give_up()
        worker.work("c")

    with pytest.raises(GivenUpError):
        throttled(pace, work)
    assert worker.done == ["a", "b"]


def test_nobody_rests_who_was_not_asked_to() -> None:
    """A start, or the loop's own thread: before, and when the work at a pace has ended."""
    worker = Worker(item=1.0)
    worker.work("a", "b", "c")
    assert throttled(worker.pace(turn=0.0, rest=7.0), lambda: "result") == "result"
    worker.work("d", "e")
    assert worker.done == ["a", "b", "c", "d", "e"]
