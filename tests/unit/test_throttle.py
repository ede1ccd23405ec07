"""Long work in time slices, with rests between them."""

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


def test_a_time_slice_is_followed_by_a_rest() -> None:
    """A time slice is followed by a rest of the given length, before the first item after it."""
    worker = Worker(item=1.0)
    throttled(worker.pace(turn=2.0, rest=7.0), lambda: worker.work("a", "b", "c", "d", "e"))
    assert worker.done == ["a", "b", 7.0, "c", "d", 7.0, "e"]


def test_loops_within_one_work_share_its_time_slices() -> None:
    """Loops within one piece of work share its time slices."""
    worker = Worker(item=1.0)

    def work() -> None:
        for part in unhurried(("abc", "de")):
            worker.work(*part)

    throttled(worker.pace(turn=2.0, rest=7.0), work)
    assert worker.done == ["a", "b", 7.0, "c", "d", 7.0, "e"]


def test_work_that_is_given_up_ends() -> None:
    """Work that is given up ends with its next item, in the middle of a time slice too."""
    worker = Worker(item=1.0)
    pace = worker.pace(turn=60.0, rest=7.0)

    def work() -> None:
        worker.work("a", "b")
        pace.give_up()
        worker.work("c")

    with pytest.raises(GivenUpError):
        throttled(pace, work)
    assert worker.done == ["a", "b"]


def test_work_without_a_throttle_has_no_rests() -> None:
    """Work outside a throttle has no rests, before and after throttled work."""
    worker = Worker(item=1.0)
    worker.work("a", "b", "c")
    assert throttled(worker.pace(turn=0.0, rest=7.0), lambda: "result") == "result"
    worker.work("d", "e")
    assert worker.done == ["a", "b", "c", "d", "e"]
