"""The cost of a large table of hooks."""

import signal
import time
from collections.abc import Callable
from functools import partial
from itertools import count

from benchmarks.bench import Bench, Row, Run, Window, alternate, compare, wait_for
from benchmarks.broker import Produce
from benchmarks.contestants import Daemon, Endpoint, Task
from benchmarks.events import event
from benchmarks.receiver import Hit, Receiver
from benchmarks.scenarios.throughput import require

_EVENTS = 50_000
_FEW = 10
_MANY = (1_000, 100_000)
_RATE = 500
"""Events a second while a table is reloaded."""
_CALM = 10.0
"""Time without a reload, for comparison."""
_AFTER = 2.0
"""Time after a reload in which its effects would still be seen."""
_RELOADED = "hooks and settings reloaded"


def many(bench: Bench) -> list[Row]:
    """Measure tables of hooks, each of which has its own subject."""
    rows = [row for hooks in _MANY for row in _beside_few(bench, hooks)]
    return [*rows, *_reload(bench, _MANY[-1])]


def _beside_few(bench: Bench, hooks: int) -> list[Row]:
    """Compare with ten hooks. Events for ten of the hooks show the cost of a match; events for each
    hook in turn also show the cost of a hook's first delivery.
    """
    few = partial(_run, bench, _FEW, _FEW)
    pairs = alternate(bench.pairs, partial(_run, bench, hooks, _FEW), few)
    in_turn = alternate(bench.pairs, partial(_run, bench, hooks, hooks), few)
    return [
        compare(f"CPU per delivery to ten of {hooks:,}", "us", pairs, lambda run: run.cpu, None),
        compare(f"CPU per delivery to each of {hooks:,}", "us", in_turn, lambda run: run.cpu, None),
        compare(f"peak memory, {hooks:,} hooks", "MB", pairs, lambda run: run.peak, None),
        compare(f"start to first request, {hooks:,} hooks", "s", pairs, lambda r: r.first, None),
    ]


def _run(bench: Bench, hooks: int, subjects: int) -> Run:
    """Run with events for the first `subjects` hooks in turn."""
    events = bench.scaled(_EVENTS)
    topic = bench.broker.fill(_event(number, subjects) for number in range(events))
    start = events // 10
    with Receiver(bench.new_folder()) as receiver:
        task = Task(bench.broker.bootstrap, topic, _endpoints(receiver, hooks))
        run = bench.measure(Daemon(), task, receiver, Window(start, events, events - start))
    require(run.hits, events)
    bench.broker.forget(topic)
    return run._replace(hits=())


def _reload(bench: Bench, hooks: int) -> list[Row]:
    """Reload all hooks during a steady rate of events; compare with the time before."""
    topic, numbers = bench.broker.make_topic(), count()
    with (
        Receiver(bench.new_folder()) as receiver,
        bench.broker.producing(topic) as produce,
        bench.running(
            Daemon(), Task(bench.broker.bootstrap, topic, _endpoints(receiver, hooks))
        ) as process,
    ):
        produce(next(numbers), _event(0, _FEW))
        wait_for(receiver.answered, 1, process)
        began = time.time()
        _steadily(produce, numbers, lambda: time.time() - began > _CALM)
        asked = time.time()
        process.signal(signal.SIGHUP)
        _steadily(produce, numbers, lambda: process.said(_RELOADED))
        done = time.time()
        _steadily(produce, numbers, lambda: time.time() - done > _AFTER)
        hits = receiver.hits()
    require(hits, next(numbers))
    bench.broker.forget(topic)
    calm, busy = _longest(hits, began + 1.0, asked - 1.0), _longest(hits, asked, done + _AFTER)
    return [
        Row(f"reload of {hooks:,} hooks", "s", done - asked),
        Row("longest delay while it runs, beside before", "s", busy, calm, busy / calm),
    ]


def _steadily(produce: Produce, numbers: "count[int]", ended: Callable[[], bool]) -> None:
    due = time.monotonic()
    while not ended():
        produce(number := next(numbers), _event(number, _FEW))
        due += 1 / _RATE
        time.sleep(max(0.0, due - time.monotonic()))


def _longest(hits: list[Hit], start: float, end: float) -> float:
    """The longest delay of an event that occurred between `start` and `end`."""
    return max(hit.delay for hit in hits if start <= hit.sent_at <= end)


def _endpoints(receiver: Receiver, hooks: int) -> list[Endpoint]:
    return [
        Endpoint(f"hook-{number}", f"{receiver.origin}/{number}", f"sale-{number}")
        for number in range(hooks)
    ]


def _event(number: int, subjects: int) -> bytes:
    return event(number, f"sale-{number % subjects}")
