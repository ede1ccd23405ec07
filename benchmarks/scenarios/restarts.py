"""Replicas that are stopped and started in turn, and one that is killed, under load."""

import asyncio
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

from benchmarks.bench import Bench, Row, compare, rotate, wait_for
from benchmarks.broker import PARTITIONS, Produce
from benchmarks.contestants import Daemon, Endpoint, Task, new_group
from benchmarks.events import event
from benchmarks.process import Process
from benchmarks.receiver import Receiver, serving

_REPLICAS = 3
_RATE = 300
"""Events a second."""
_SECONDS_BETWEEN = 4.0
"""From a replica's start to the next one's stop."""
_SLOW_SECONDS = 2.0
_SLOW_ONE_IN = 100
_FIRST = 10**9
"""The number of the first event that shows that a partition is read."""
_BACKLOG = 100_000
_MAX_REPEATED = 1_064
"""Of `kill -9`: what is settled without a commit, and 64 requests in flight."""


@dataclass
class _Requests:
    """What reached an endpoint whose every `slow_one_in`th answer takes `_SLOW_SECONDS`."""

    slow_one_in: int
    """0: no answer is slow."""
    times: Counter[int] = field(default_factory=Counter)
    """Requests by the event's number."""
    delays: dict[int, float] = field(default_factory=dict)
    """Seconds from each event to its first request."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                query = parse_qs(urlsplit(head.split(b" ", 2)[1].decode()).query)
                number, sent_at = int(query["n"][0]), int(query["t"][0]) / 1000
                self.times[number] += 1
                self.delays.setdefault(number, time.time() - sent_at)
                if self.slow_one_in and number % self.slow_one_in == 0:
                    await asyncio.sleep(_SLOW_SECONDS)
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


class _Run(NamedTuple):
    longest: float
    """Seconds from an event to its first request, at most."""
    twice: int
    """Events that were sent more than once."""


def restarts(bench: Bench) -> list[Row]:
    """Compare the longest delay during restarts with the one without, with slow answers and not."""
    rows = []
    for slow_one_in, name, target in ((_SLOW_ONE_IN, "some answers take 2 s", 3.0), (0, "", 1.0)):
        runs = [
            partial(_run, bench, slow_one_in, restarted=restarted) for restarted in (True, False)
        ]
        pairs = [(ours, other) for ours, other in rotate(bench.pairs, runs)]
        suffix = f", {name}" if name else ""
        row = compare(f"longest delay{suffix}", "s", pairs, lambda run: run.longest, None)
        worst = max(ours.longest for ours, _ in pairs)
        rows += [
            row._replace(ours=worst, target=f"<= {target:g} s", met=worst <= target),
            _none(f"events sent twice{suffix}", max(ours.twice for ours, _ in pairs)),
        ]
    return rows


def killed(bench: Bench) -> list[Row]:
    """Count what is sent again after `kill -9` in the middle of a backlog."""
    twice = [_kill(bench, bench.scaled(_BACKLOG)) for _ in range(bench.pairs)]
    worst = max(twice)
    return [
        Row(
            "events sent twice, worst run",
            "count",
            worst,
            target=f"<= {_MAX_REPEATED:,}",
            met=worst <= _MAX_REPEATED,
        )
    ]


def _kill(bench: Bench, events: int) -> int:
    topic, daemon = bench.fill(events), Daemon(new_group())
    bench.broker.forget_retry_topics()
    with Receiver(bench.new_folder()) as receiver:
        task = Task(bench.broker.bootstrap, topic, [Endpoint("only", receiver.origin)])
        with bench.joining(daemon, task) as first:
            wait_for(receiver.answered, events // 2, first)
            first.signal(signal.SIGKILL)
        with bench.joining(daemon, task) as second:
            wait_for(receiver.answered, events, second)
            wait_for(lambda: len({hit.number for hit in receiver.hits()}), events, second)
        numbers = Counter(hit.number for hit in receiver.hits())
    bench.broker.forget(topic)
    return sum(times > 1 for times in numbers.values())


def _none(figure: str, found: int) -> Row:
    return Row(figure, "count", found, target="0", met=not found)


def _run(bench: Bench, slow_one_in: int, *, restarted: bool) -> _Run:
    """Produce events at a steady rate while each replica is stopped and started once."""
    requests = _Requests(slow_one_in)
    topic, daemon = bench.broker.make_topic(), Daemon(new_group())
    bench.broker.forget_retry_topics()
    with serving(requests.serve) as origin, ExitStack() as stack:
        task = Task(bench.broker.bootstrap, topic, [Endpoint("only", origin)])

        def join() -> Process:
            return stack.enter_context(bench.joining(daemon, task))

        members = [join() for _ in range(_REPLICAS)]
        bench.broker.wait_for_group(daemon.group, _REPLICAS, members)
        with bench.broker.producing(topic) as produce:
            for number in range(_FIRST, _FIRST + PARTITIONS):
                produce(number, event(number))
        wait_for(lambda: len(requests.times), PARTITIONS, members[0])  # each partition is read
        requests.delays.clear()
        requests.times.clear()
        with bench.broker.producing(topic) as produce, _load(produce) as numbers:
            time.sleep(_SECONDS_BETWEEN)
            for index in range(_REPLICAS):
                if restarted:
                    members[index].stop()
                    members[index] = join()
                    bench.broker.wait_for_group(daemon.group, _REPLICAS, members)
                time.sleep(_SECONDS_BETWEEN)
        wait_for(lambda: len(requests.times), len(numbers), members[0])
    bench.broker.forget(topic)
    return _Run(max(requests.delays.values()), sum(n > 1 for n in requests.times.values()))


@contextmanager
def _load(produce: Produce) -> Iterator[list[int]]:
    """Produce `_RATE` events a second meanwhile. Yields the numbers of those so far."""
    numbers: list[int] = []
    over = threading.Event()

    def run() -> None:
        began = time.monotonic()
        while not over.wait(max(0.0, began + len(numbers) / _RATE - time.monotonic())):
            produce(len(numbers), event(len(numbers)))
            numbers.append(len(numbers))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield numbers
    finally:
        over.set()
        thread.join()
