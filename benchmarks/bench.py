"""One measured run, and pairs of them."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.broker import Broker
from benchmarks.contestants import Contestant, Task
from benchmarks.process import Process
from benchmarks.receiver import Hit, Receiver

_GLANCE = 0.02
_PATIENCE = 60.0
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

    @contextmanager
    def running(self, contestant: Contestant, task: Task) -> Iterator[Process]:
        """The contestant at work."""
        self.broker.forget_lanes()
        folder = self.new_folder()
        folder.mkdir()
        process = Process(contestant.command(task, folder), folder)
        try:
            yield process
        finally:
            process.stop()

    def measure(
        self, contestant: Contestant, task: Task, receiver: Receiver, window: Window
    ) -> Run:
        """Let it work off its topic; `receiver` is new, so every request is this run's."""
        began = time.monotonic()
        with self.running(contestant, task) as process:
            wait_for(receiver, 1, process)
            first = time.monotonic() - began
            started_at = wait_for(receiver, window.start, process)
            cpu = process.cpu
            answered = wait_for(receiver, window.end, process)
            cpu, peak = process.cpu - cpu, process.peak
        share = (answered - started_at) / (window.end - window.start)
        hits = receiver.hits()
        seconds = hits[window.end - 1].at - hits[window.start - 1].at
        return Run(
            per_second=window.units / seconds,
            cpu=cpu / window.units / share * 1e6,
            peak=peak,
            first=first,
            hits=hits,
        )


def wait_for(receiver: Receiver, requests: int, process: Process) -> int:
    """Wait until the receiver answered so many; how many it has by then."""
    last, moved_at = -1, time.monotonic()
    while (answered := receiver.answered()) < requests:
        process.check()
        now = time.monotonic()
        if answered != last:
            last, moved_at = answered, now
        elif now - moved_at > _PATIENCE:
            raise process.error(f"stopped at {answered} of {requests} requests")
        time.sleep(_GLANCE)
    return answered


class Pair(NamedTuple):
    """Two runs right after each other; the order changes from pair to pair."""

    ours: Run
    other: Run


def alternate(pairs: int, ours: Callable[[], Run], other: Callable[[], Run]) -> list[Pair]:
    """Run both `pairs` times, in turn first: a machine that slows down slows both."""
    found = []
    for number in range(pairs):
        if number % 2:
            second = other()
            found.append(Pair(ours(), second))
        else:
            found.append(Pair(ours(), other()))
    return found


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
    figure: str, unit: str, pairs: Sequence[Pair], of: Callable[[Run], float], limit: Limit | None
) -> Row:
    """The medians of one figure over `pairs`, and the median of the ratios."""
    ratio = median(of(pair.ours) / of(pair.other) for pair in pairs)
    return Row(
        figure,
        unit,
        median(of(pair.ours) for pair in pairs),
        median(of(pair.other) for pair in pairs),
        ratio,
        f"{limit[0]} {limit[1]:g}" if limit else "",
        holds(ratio, limit) if limit else None,
    )


def holds(value: float, limit: Limit) -> bool:
    """Whether `value` is within `limit`."""
    return value <= limit[1] if limit[0] == "<=" else value >= limit[1]
