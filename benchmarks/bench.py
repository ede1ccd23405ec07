"""Measures one run, and compares pairs of runs."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from statistics import median
from typing import NamedTuple, TypeVar

from benchmarks.broker import Broker
from benchmarks.contestants import Contestant, Task
from benchmarks.events import event
from benchmarks.process import Process
from benchmarks.receiver import Hit, Receiver

_POLL_SECONDS = 0.02
_STALL_TIMEOUT_SECONDS = 120.0
"""A run fails after this time without an answered request."""


class Run(NamedTuple):
    """The cost of one run of one contestant."""

    per_second: float
    """Units a second, counted by the receiver."""
    cpu: float
    """Microseconds of the contestant's CPU per unit: user and system time of all threads."""
    peak: float
    """Peak memory in MB."""
    first: float
    """Seconds from the start of the program to its first request."""
    hits: Sequence[Hit]


class Window(NamedTuple):
    """The measured part of a run: `units` of work from the `start`th to the `end`th request.

    The start-up is before it, and counts in `Run.first` only.
    """

    start: int
    end: int
    units: int


@dataclass
class Bench:
    """The tools and options of one scenario."""

    broker: Broker
    folder: Path
    pairs: int
    """Runs of each side of a comparison."""
    scale: float
    """Share of the full number of events."""

    def __post_init__(self) -> None:
        self._numbers = count()

    def scaled(self, events: int) -> int:
        """`events` at this scale, an equal number for each partition."""
        return max(400, round(events * self.scale) // 400 * 400)

    def new_folder(self) -> Path:
        """A path for the files of one program, without creating it."""
        return self.folder / f"run-{next(self._numbers)}"

    def new_made_folder(self) -> Path:
        """A new folder for the files of one program."""
        folder = self.new_folder()
        folder.mkdir()
        return folder

    def fill(self, events: int) -> str:
        """Create a topic with `events` events for the measured hook. Returns its name."""
        return self.broker.fill(event(number) for number in range(events))

    @contextmanager
    def running(self, contestant: Contestant, task: Task) -> Iterator[Process]:
        """Run the contestant, with empty retry topics."""
        self.broker.forget_retry_topics()
        with self.joining(contestant, task) as process:
            yield process

    @contextmanager
    def joining(self, contestant: Contestant, task: Task) -> Iterator[Process]:
        """Run the contestant beside others of its group, with the same retry topics."""
        folder = self.new_made_folder()
        process = Process(contestant.command(task, folder), folder)
        try:
            yield process
        finally:
            process.stop()

    def measure(
        self,
        contestant: Contestant,
        task: Task,
        receiver: Receiver,
        window: Window,
        answered: Callable[[], int] | None = None,
    ) -> Run:
        """Measure the contestant while it reads its topic; `receiver` must be new.

        `answered` counts the requests of the window: by default all of the receiver.
        """
        answered = answered or receiver.answered
        began = time.monotonic()
        with self.running(contestant, task) as process:
            wait_for(answered, 1, process)
            first = time.monotonic() - began
            start = wait_for(answered, window.start, process)
            cpu = process.cpu
            end = wait_for(answered, window.end, process)
            cpu, peak = process.cpu - cpu, process.peak
        hits = receiver.hits()
        wanted = [hit.at for hit in hits if hit.delivered]
        seconds = wanted[window.end - 1] - wanted[window.start - 1]
        units = window.units * (end - start) / (window.end - window.start)
        return Run(window.units / seconds, cpu / units * 1e6, peak, first, hits)


def wait_for(answered: Callable[[], int], requests: int, process: Process) -> int:
    """Wait until `requests` requests were answered. Returns the number of answered ones."""
    last, moved_at = -1, time.monotonic()
    while (now_answered := answered()) < requests:
        process.check()
        now = time.monotonic()
        if now_answered != last:
            last, moved_at = now_answered, now
        elif now - moved_at > _STALL_TIMEOUT_SECONDS:
            raise process.error(f"stopped at {now_answered} of {requests} requests")
        time.sleep(_POLL_SECONDS)
    return now_answered


T = TypeVar("T")


def rotate(rounds: int, runs: Sequence[Callable[[], T]]) -> list[list[T]]:
    """Run each of `runs` `rounds` times, with another first each round, so that a change of the
    machine's speed affects all. Each round's results are in the order of `runs`.
    """
    found = []
    for number in range(rounds):
        first = number % len(runs)
        order = [*range(first, len(runs)), *range(first)]
        results = {index: runs[index]() for index in order}
        found.append([results[index] for index in range(len(runs))])
    return found


def alternate(pairs: int, ours: Callable[[], T], other: Callable[[], T]) -> list[tuple[T, T]]:
    """Run both `pairs` times, with another first each time."""
    return [(mine, others) for mine, others in rotate(pairs, [ours, other])]


class Row(NamedTuple):
    """One figure of the table."""

    figure: str
    unit: str
    ours: float
    other: float | None = None
    """The figure of the other side, if it is a comparison."""
    ratio: float | None = None
    """Median of the pairs' ratios."""
    target: str = ""
    met: bool | None = None


Limit = tuple[str, float]
"""A bound of a ratio: `("<=", 0.5)`."""


def compare(
    figure: str,
    unit: str,
    pairs: Sequence[tuple[T, T]],
    of: Callable[[T], float],
    limit: Limit | None,
) -> Row:
    """The medians of one figure over `pairs`, and the median of the ratios."""
    ratio = median(of(ours) / of(other) for ours, other in pairs)
    return Row(
        figure,
        unit,
        median(of(ours) for ours, _ in pairs),
        median(of(other) for _, other in pairs),
        ratio,
        f"{limit[0]} {limit[1]:g}" if limit else "",
        _holds(ratio, limit) if limit else None,
    )


def _holds(value: float, limit: Limit) -> bool:
    return value <= limit[1] if limit[0] == "<=" else value >= limit[1]
