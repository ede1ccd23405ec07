"""Memory must not depend on how much waits."""

from statistics import median

from benchmarks.bench import Bench, Row, Run, Window, alternate
from benchmarks.contestants import Daemon, Endpoint, Task
from benchmarks.receiver import Receiver
from benchmarks.scenarios.throughput import require

_LARGE, _SMALL = 1_000_000, 10_000
_WITHIN = 10.0
"""MB."""


def backlog(bench: Bench) -> list[Row]:
    """The peak of working off a million events, beside that of ten thousand."""
    sizes = bench.scaled(_LARGE), _SMALL
    topics = [bench.fill(size) for size in sizes]

    def run(which: int) -> Run:
        size = sizes[which]
        with Receiver(bench.new_folder()) as receiver:
            endpoints = [Endpoint("only", receiver.origin)]
            task = Task(bench.broker.bootstrap, topics[which], endpoints)
            found = bench.measure(Daemon(), task, receiver, Window(1, size, size - 1))
        require(found.hits, size)
        return found._replace(hits=())

    pairs = alternate(bench.pairs, lambda: run(0), lambda: run(1))
    for topic in topics:
        bench.broker.forget(topic)
    more = median(large.peak - small.peak for large, small in pairs)
    return [
        Row(
            f"peak memory with {sizes[0]:,} events, beside {sizes[1]:,}",
            "MB",
            median(large.peak for large, _ in pairs),
            median(small.peak for _, small in pairs),
        ),
        Row("difference", "MB", more, target=f"<= {_WITHIN:g} MB", met=more <= _WITHIN),
        Row("deliveries a second", "1/s", median(large.per_second for large, _ in pairs)),
    ]
