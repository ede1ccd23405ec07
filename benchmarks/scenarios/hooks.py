"""What a large table of hooks costs."""

from benchmarks.bench import Bench, Row, Run, Window, alternate, compare
from benchmarks.contestants import Daemon, Endpoint, Task
from benchmarks.events import event
from benchmarks.receiver import Receiver
from benchmarks.scenarios.throughput import require

_EVENTS = 60_000
_FEW = 10
_MANY = (1_000, 100_000)


def many(bench: Bench) -> list[Row]:
    """Each hook has a subject of its own; the events take all subjects in turn."""
    return [row for hooks in _MANY for row in _beside_few(bench, hooks)]


def _beside_few(bench: Bench, hooks: int) -> list[Row]:
    pairs = alternate(bench.pairs, lambda: _run(bench, hooks), lambda: _run(bench, _FEW))
    return [
        compare(f"CPU per delivery, {hooks:,} hooks", "us", pairs, lambda run: run.cpu, None),
        compare(f"peak memory, {hooks:,} hooks", "MB", pairs, lambda run: run.peak, None),
        compare(f"start to first request, {hooks:,} hooks", "s", pairs, lambda r: r.first, None),
    ]


def _run(bench: Bench, hooks: int) -> Run:
    events = bench.scaled(_EVENTS)
    topic = bench.broker.fill(event(number, f"sale-{number % hooks}") for number in range(events))
    start = events // 10
    with Receiver(bench.new_folder()) as receiver:
        endpoints = [
            Endpoint(f"hook-{number}", f"{receiver.origin}/{number}", f"sale-{number}")
            for number in range(hooks)
        ]
        task = Task(bench.broker.bootstrap, topic, endpoints)
        run = bench.measure(Daemon(), task, receiver, Window(start, events, events - start))
    require(run.hits, events)
    bench.broker.forget(topic)
    return run._replace(hits=())
