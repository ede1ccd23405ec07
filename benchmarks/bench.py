"""One measured run, and pairs of them."""

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

_GLANCE = 0.02
_PATIENCE = 120.0
"""Seconds without a single answered request after which a run has failed."""


class Run(NamedTuple):
    """What one run of one contestant cost."""

    per_second: float
    """Units a second, by the receiver."""
    cpu: float
    """Microseconds of the contestant's CPU, user and system, all threads, per unit."""
    peak: float
    """MB."""
    first: float
    """Seconds from the start of the program to its first request."""
    hits: Sequence[Hit]


class Window(NamedTuple):
    """What lies between the `start`th and the `end`th request: so many units of work.

    The start-up lies before it, so it is in no figure but `Run.first`.
    """

    start: int
    end: int
    units: int


@dataclass
class Bench:
    """The workbench of one scenario."""

    broker: Broker
    folder: Path
    pairs: int
    """How often a comparison is repeated."""
    scale: float
    """Share of the full number of events."""

    def __post_init__(self) -> None:
        self._numbers = count()

    def scaled(self, events: int) -> int:
        """`events` at this scale, a whole number for each partition."""
        return max(400, round(events * self.scale) // 400 * 400)

    def new_folder(self) -> Path:
        """For the files of one program; not made yet."""
        return self.folder / f"run-{next(self._numbers)}"

    def new_made_folder(self) -> Path:
        """The same, made."""
        folder = self.new_folder()
        folder.mkdir()
        return folder

    def fill(self, events: int) -> str:
        """A new topic with so many events for the measured hook; its name."""
        return self.broker.fill(event(number) for number in range(events))

    @contextmanager
    def running(self, contestant: Contestant, task: Task) -> Iterator[Process]:
        """The contestant at work; nothing waits on the lanes."""
        self.broker.forget_retry_topics()
        with self.joining(contestant, task) as process:
            yield process

    @contextmanager
    def joining(self, contestant: Contestant, task: Task) -> Iterator[Process]:
        """The contestant at work beside others of its group, whose lanes are theirs."""
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
        """Let it work off its topic; `receiver` is new, so every request is this run's.

        `answered` counts what the window is made of: by default the receiver's requests.
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
    """Wait until so many requests were answered; how many were by then."""
    last, moved_at = -1, time.monotonic()
    while (now_answered := answered()) < requests:
        process.check()
        now = time.monotonic()
        if now_answered != last:
            last, moved_at = now_answered, now
        elif now - moved_at > _PATIENCE:
            raise process.error(f"stopped at {now_answered} of {requests} requests")
        time.sleep(_GLANCE)
    return now_answered


T = TypeVar("T")


def rotate(rounds: int, runs: Sequence[Callable[[], T]]) -> list[list[T]]:
    """Run all `rounds` times, in turn first: a machine that slows down slows each of them.

    Each round's results stand in the order of `runs`.
    """
    found = []
    for number in range(rounds):
        first = number % len(runs)
        order = [*range(first, len(runs)), *range(first)]
        results = {place: runs[place]() for place in order}
        found.append([results[place] for place in range(len(runs))])
    return found


def alternate(pairs: int, ours: Callable[[], T], other: Callable[[], T]) -> list[tuple[T, T]]:
    """Run both `pairs` times, in turn first."""
    return [(mine, others) for mine, others in rotate(pairs, [ours, other])]


class Row(NamedTuple):
    """One figure of the table."""

    figure: str
    unit: str
    ours: float
    other: float | None = None
    """What it is compared with, where it is."""
    ratio: float | None = None
    """Median of the pairs' ratios."""
    target: str = ""
    met: bool | None = None


Limit = tuple[str, float]
"""`("<=", 0.5)`, of the ratio."""


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
