"""The cost of failing and hung endpoints for healthy ones."""

import time
from functools import partial
from statistics import quantiles
from typing import NamedTuple

from benchmarks.bench import Bench, Limit, Row, Run, Window, alternate, compare, wait_for
from benchmarks.contestants import Daemon, Endpoint, Task
from benchmarks.events import HUNG, SPRING, event
from benchmarks.receiver import Receiver, black_hole
from benchmarks.scenarios.throughput import require, rows

_EVENTS = 50_000
_BACKLOG = 100_000
_ONE_IN = 20
"""5 % of the events go to the endpoint that never answers."""
_FAILS = 10
"""One in ten deliveries is answered with 503."""
_DELAY = 0.25
"""Time within which 99 % of the healthy deliveries must arrive."""
_RATE = 2_000
"""Events a second, far below the daemon's capacity, so that no queue of the daemon adds delay."""
_FIRST = 10**9
"""The number of the event whose delivery shows that the daemon is ready."""


def failing(bench: Bench) -> list[Row]:
    """Compare a run in which one in ten deliveries fails with one without failures."""
    events = bench.scaled(_EVENTS)
    healthy = events - events // _FAILS
    some = bench.broker.fill(event(n, fails=n % _FAILS == 0) for n in range(events))
    none = bench.fill(events)

    def run(topic: str, deliveries: int) -> Run:
        start = deliveries // 10
        with Receiver(bench.new_folder()) as receiver:
            task = Task(bench.broker.bootstrap, topic, [Endpoint("only", receiver.origin)])
            window = Window(start, deliveries, deliveries - start)
            found = bench.measure(Daemon(), task, receiver, window, receiver.delivered)
        require(found.hits, deliveries)
        return found

    deferred = []

    def run_failing() -> Run:
        found = run(some, healthy)
        deferred.append(len(bench.broker.deferred()["only"]))
        return found

    pairs = alternate(bench.pairs, run_failing, partial(run, none, events))
    for topic in (some, none):
        bench.broker.forget(topic)
    on_topics = _all("failing deliveries on retry topics", deferred, events - healthy)
    return [*rows(pairs, "success", "successes"), on_topics]


def hung_steady(bench: Bench) -> list[Row]:
    """Produce 500 events a second for 40 s, and count 20 s later."""
    events = bench.scaled(20_000)
    hung = events // _ONE_IN
    looks = [_steady(bench, 500, events, wait=20.0, hung=True) for _ in range(bench.pairs)]
    worst = max(look.delay for look in looks)
    return [
        _all("healthy deliveries arrived", [look.healthy for look in looks], events - hung),
        _all("hung deliveries on retry topics", [look.deferred for look in looks], hung),
        Row(
            "delay, 99th percentile, worst",
            "s",
            worst,
            target=f"<= {_DELAY} s",
            met=worst <= _DELAY,
        ),
    ]


def hung_throughput(bench: Bench) -> list[Row]:
    """The healthy 95 % at full speed and at a steady rate, with and without the hung 5 %, whose
    hook is disabled in the runs without.
    """
    return [*_at_full_speed(bench), _at_steady_rate(bench)]


def _at_full_speed(bench: Bench) -> list[Row]:
    events = bench.scaled(_BACKLOG)
    topic = bench.broker.fill(_mixed(number) for number in range(events))
    healthy = events - events // _ONE_IN
    start = healthy // 10

    def run(*, hung: bool) -> Run:
        with black_hole() as nowhere, Receiver(bench.new_folder()) as receiver:
            endpoints = _endpoints(receiver, nowhere, hung=hung)
            task = Task(bench.broker.bootstrap, topic, endpoints)
            window = Window(start, healthy, healthy - start)
            found = bench.measure(Daemon(), task, receiver, window)
        require(found.hits, healthy)
        return found._replace(hits=())

    pairs = alternate(bench.pairs, partial(run, hung=True), partial(run, hung=False))
    bench.broker.forget(topic)
    most: Limit = (">=", 0.95)
    return [
        compare("healthy deliveries a second", "1/s", pairs, lambda run: run.per_second, most),
        compare("CPU per healthy delivery", "us", pairs, lambda run: run.cpu, None),
    ]


def _at_steady_rate(bench: Bench) -> Row:
    def delay(*, hung: bool) -> float:
        events = bench.scaled(20 * _RATE)
        return _steady(bench, _RATE, events, wait=2.0, hung=hung).delay

    # A broker is slow for some seconds after its start.
    _steady(bench, _RATE, bench.scaled(5 * _RATE), wait=0.0, hung=False)
    pairs = alternate(bench.pairs, partial(delay, hung=True), partial(delay, hung=False))
    figure = f"delay at {_RATE:,} a second, 99th percentile"
    return compare(figure, "s", pairs, lambda seconds: seconds, ("<=", 1.2))


class _Look(NamedTuple):
    """The state some seconds after the last event."""

    healthy: int
    deferred: int
    """Deliveries of the hung hook on retry topics."""
    delay: float
    """99th percentile of the healthy ones, in seconds from the event to the answer."""


def _steady(bench: Bench, rate: float, events: int, *, wait: float, hung: bool) -> _Look:
    """Produce `events` events at `rate` a second, and count `wait` seconds later."""
    topic = bench.broker.make_topic()
    with (
        black_hole() as nowhere,
        Receiver(bench.new_folder()) as receiver,
        bench.broker.producing(topic) as produce,
        bench.running(
            Daemon(),
            Task(bench.broker.bootstrap, topic, _endpoints(receiver, nowhere, hung=hung)),
        ) as process,
    ):
        produce(0, event(_FIRST))
        wait_for(receiver.answered, 1, process)
        began = time.monotonic()
        for number in range(events):
            _sleep_until(began + number / rate)
            produce(number, _mixed(number))
        _sleep_until(began + events / rate + wait)
        process.check()
        hits = [hit for hit in receiver.hits() if hit.number != _FIRST]
        deferred = len(bench.broker.deferred().get(HUNG, ()))
    bench.broker.forget(topic)
    percentiles = quantiles((hit.delay for hit in hits), n=100)
    return _Look(len({hit.number for hit in hits}), deferred, percentiles[98])


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))


def _mixed(number: int) -> bytes:
    return event(number, HUNG if number % _ONE_IN == 0 else SPRING)


def _endpoints(receiver: Receiver, nowhere: str, *, hung: bool) -> list[Endpoint]:
    return [Endpoint("healthy", receiver.origin), Endpoint(HUNG, nowhere, HUNG, enabled=hung)]


def _all(figure: str, found: list[int], wanted: int) -> Row:
    least = min(found)
    return Row(f"{figure}, worst run", "count", least, target=f"{wanted:,}", met=least == wanted)
