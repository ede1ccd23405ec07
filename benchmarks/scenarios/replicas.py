"""Several replicas of the daemon in one consumer group, on one machine."""

from contextlib import ExitStack
from functools import partial
from typing import NamedTuple

from benchmarks.bench import Bench, Row, compare, rotate, wait_for
from benchmarks.contestants import Daemon, Endpoint, Task, new_group
from benchmarks.events import event
from benchmarks.receiver import Receiver
from benchmarks.scenarios.throughput import require

_EVENTS = 100_000
_MANY = (2, 4)
"""Numbers of replicas, at most that of the partitions."""


class _Run(NamedTuple):
    cpu: float
    """Microseconds per delivery of all replicas together."""
    per_second: float
    peak: float
    """MB of all replicas together, with shared code counted for each."""


def replicas(bench: Bench) -> list[Row]:
    """Compare each number of replicas with one."""
    rounds = rotate(bench.pairs, [partial(_run, bench, number) for number in (1, *_MANY)])
    rows = []
    for index, number in enumerate(_MANY, start=1):
        pairs = [(each[index], each[0]) for each in rounds]
        beside = f"{number} replicas beside one"
        rows += [
            compare(f"CPU per delivery, {beside}", "us", pairs, lambda run: run.cpu, None),
            compare(f"deliveries a second, {beside}", "1/s", pairs, lambda r: r.per_second, None),
            compare(f"peak memory of all, {beside}", "MB", pairs, lambda run: run.peak, None),
        ]
    return rows


def _run(bench: Bench, number: int) -> _Run:
    """Run with events produced after the group has formed, so that no rebalance is measured."""
    events = bench.scaled(_EVENTS)
    topic, daemon = bench.broker.make_topic(), Daemon(new_group())
    bench.broker.forget_retry_topics()
    with Receiver(bench.new_folder()) as receiver, ExitStack() as stack:
        task = Task(bench.broker.bootstrap, topic, [Endpoint("only", receiver.origin)])
        members = [stack.enter_context(bench.joining(daemon, task)) for _ in range(number)]
        bench.broker.wait_for_group(daemon.group, number, members)
        with bench.broker.producing(topic) as produce:
            for each in range(events):
                produce(each, event(each))
        start = wait_for(receiver.answered, events // 4, members[0])
        cpu = sum(member.cpu for member in members)
        end = wait_for(receiver.answered, events, members[0])
        cpu = sum(member.cpu for member in members) - cpu
        peak = sum(member.peak for member in members)
        hits = receiver.hits()
    require(hits, events)
    bench.broker.forget(topic)
    seconds = hits[end - 1].at - hits[start - 1].at
    return _Run(cpu / (end - start) * 1e6, (end - start) / seconds, peak)
