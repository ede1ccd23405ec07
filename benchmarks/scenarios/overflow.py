"""Endpoints that cannot take anything now, and what their waiting costs."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from statistics import quantiles
from typing import Any, NamedTuple

from benchmarks.bench import Bench, Row, wait_for
from benchmarks.broker import Broker
from benchmarks.contestants import Daemon, Endpoint, Task, new_group
from benchmarks.events import event
from benchmarks.process import Process
from benchmarks.receiver import Hit, Receiver
from benchmarks.scenarios.throughput import require
from support.broker import HOST, free_port

_DEAD_EVENTS = 100_000
_DEAD_RATE = 5_000
"""Events a second of them: faster than the daemon reads, they would be a backlog of all."""
_MIXED_EVENTS, _MIXED_LIMIT = 5_000, 200
"""Deliveries for each of four endpoints, and how many of them the limited one takes a second."""
_LIMITED_EVENTS, _LIMIT = 5_000, 50
"""Deliveries, and how many of them the receiver takes a second."""
_STEADY = 200
"""Events a second for the healthy endpoint, all the time."""
_CALM_SECONDS, _STILL_SECONDS = 10.0, 20.0
"""Before the dead endpoint's events come, and after all of them wait."""
_DEAD, _HEALTHY = "dead", "healthy"
_POLL_SECONDS = 0.1


class _Phase(NamedTuple):
    """What some seconds cost."""

    began: float
    """Seconds since the epoch."""
    ended: float
    cpu: float
    """Seconds."""
    writes: int

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.ended - self.began


def dead(bench: Bench) -> list[Row]:
    """100,000 deliveries for an endpoint that refuses connections, beside a healthy one; then it
    comes back.
    """
    number, port = bench.scaled(_DEAD_EVENTS), free_port()
    topic = bench.broker.make_topic()
    with Receiver(bench.new_folder()) as healthy:
        endpoints = [
            Endpoint(_HEALTHY, healthy.origin, _HEALTHY),
            Endpoint(_DEAD, f"http://{HOST}:{port}", _DEAD),
        ]
        task = Task(bench.broker.bootstrap, topic, endpoints)
        with bench.running(Daemon(), task) as daemon, _steadily(bench.broker, topic):
            wait_for(healthy.answered, 10 * _STEADY, daemon)
            calm = _measure(bench.broker, daemon, _lasts(_CALM_SECONDS))
            with _coming(bench.broker, topic, number):
                coming = _measure(bench.broker, daemon, _stands_still(bench.broker))
            still = _measure(bench.broker, daemon, _lasts(_STILL_SECONDS))
            peak = daemon.peak
            with Receiver(bench.new_folder(), port=port) as back:
                back_at = time.time()
                wait_for(back.answered, 1, daemon)
                began, cpu = time.time(), daemon.cpu
                wait_for(back.answered, number, daemon)
                late_phase = _Phase(began, time.time(), daemon.cpu - cpu, 0)
                late = back.hits()
        hits = healthy.hits()
    bench.broker.forget(topic)
    write, send = (_more(phase, calm) / number * 1e6 for phase in (coming, late_phase))
    return [
        *_waiting(hits, calm, coming, still, peak, number),
        Row("CPU to read an event and write it, beside reading and delivering it", "us",
            write, send, write / send, "<= 0.5", write / send <= 0.5),  # noqa: PLR2004
        *_return(late, back_at),
    ]  # fmt: skip


def limited(bench: Bench) -> list[Row]:
    """5,000 deliveries at once for a receiver whose limit is configured nowhere."""
    number = bench.scaled(_LIMITED_EVENTS)
    topic = bench.fill(number)
    with Receiver(bench.new_folder(), limit=_LIMIT) as receiver:
        task = Task(bench.broker.bootstrap, topic, [Endpoint("only", receiver.origin)])
        with bench.running(Daemon(), task) as daemon:
            wait_for(receiver.delivered, number, daemon)
            writes = bench.broker.written() / number
        hits = receiver.hits()
    bench.broker.forget(topic)
    require([hit for hit in hits if hit.delivered], number)
    seconds, possible = hits[-1].at - hits[0].at, number / _LIMIT
    attempts = len(hits) / number
    return [
        Row("seconds until all are delivered, beside the possible time", "s", seconds, possible,
            seconds / possible, "<= 1.3", seconds / possible <= 1.3),  # noqa: PLR2004
        Row("attempts per delivery", "", attempts, target="<= 1.15", met=attempts <= 1.15),  # noqa: PLR2004
        Row("writes to our topics per delivery", "", writes),
    ]  # fmt: skip


def mixed(bench: Bench) -> list[Row]:
    """What waits for two dead endpoints, a limited one and one that is well again, while a second
    replica joins; then the dead ones come back, too.
    """
    number, topic, daemon = bench.scaled(_MIXED_EVENTS), bench.broker.make_topic(), new_group()
    bench.broker.forget_retry_topics()
    ports = {name: free_port() for name in ("first", "second", _HEALTHY)}
    with ExitStack() as stack:

        def receiver(**options: Any) -> Receiver:
            return stack.enter_context(Receiver(bench.new_folder(), **options))

        limited_one = receiver(limit=_MIXED_LIMIT)
        endpoints = [
            *(Endpoint(name, f"http://{HOST}:{port}", name) for name, port in ports.items()),
            Endpoint("limited", limited_one.origin, "limited"),
        ]
        task = Task(bench.broker.bootstrap, topic, endpoints)
        replica = stack.enter_context(bench.joining(Daemon(daemon), task))
        with bench.broker.producing(topic) as produce:
            for serial in range(len(endpoints) * number):
                produce(serial, event(serial, endpoints[serial % len(endpoints)].subject))
        wait_for(_fewer_writes(bench.broker), 1, replica)
        other = stack.enter_context(bench.joining(Daemon(daemon), task))
        bench.broker.wait_for_group(daemon, 2, [replica, other])
        for name in (_HEALTHY, "first", "second"):
            back = receiver(port=ports[name])
            wait_for(back.answered, number, replica)
        wait_for(limited_one.delivered, number, replica)
        writes = bench.broker.written() / (len(endpoints) * number)
    bench.broker.forget(topic)
    return [Row("writes to our topics per delivery", "", writes, target="<= 2", met=writes <= 2.0)]  # noqa: PLR2004


def _fewer_writes(broker: Broker) -> Callable[[], int]:
    """Whether few records are written: only what comes for the limited endpoint."""
    last, at = broker.written(), time.monotonic()

    def few() -> int:
        nonlocal last, at
        if time.monotonic() < at + 1.0:
            return 0
        now, before = broker.written(), last
        last, at = now, time.monotonic()
        return now - before < 10  # noqa: PLR2004

    return few


def _waiting(  # noqa: PLR0917  # one for each phase
    hits: Sequence[Hit], calm: _Phase, coming: _Phase, still: _Phase, peak: float, number: int
) -> list[Row]:
    busy, before = _delay(hits, coming), _delay(hits, calm)
    rate = still.writes / still.seconds
    share, usual = still.cpu / still.seconds, calm.cpu / calm.seconds
    return [
        Row(f"writes a second while {number:,} wait", "1/s", rate, target="< 5", met=rate < 5.0),  # noqa: PLR2004
        Row("CPU of a core meanwhile, beside before", "", share, usual, share - usual,
            "<= 0.02 more", share - usual <= 0.02),  # noqa: PLR2004
        Row("the healthy one's delay while they come in, 99th percentile, beside before", "s",
            busy, before, busy / before, "< 1 s", busy < 1.0),
        Row("seconds until all of them wait", "s", coming.seconds),
        Row("peak memory", "MB", peak, target="< 110 MB", met=peak < 110.0),  # noqa: PLR2004
    ]  # fmt: skip


def _more(phase: _Phase, calm: _Phase) -> float:
    """CPU seconds of a phase beyond those that the healthy endpoint's events take."""
    return phase.cpu - calm.cpu / calm.seconds * phase.seconds


def _return(late: Sequence[Hit], back_at: float) -> list[Row]:
    """The probe is the first request; the deliveries come behind it."""
    gap = late[1].at - late[0].at
    pace = (len(late) - 1) / (late[-1].at - late[0].at)
    return [
        Row("it is back: seconds to the probe", "s", late[0].at - back_at),
        Row("from the probe to the next delivery", "s", gap, target="< 2 s", met=gap < 2.0),  # noqa: PLR2004
        Row("then deliveries a second", "1/s", pace),
    ]


def _delay(hits: Sequence[Hit], phase: _Phase) -> float:
    """99th percentile of the delays of the events of a phase, in seconds."""
    return quantiles((h.delay for h in hits if phase.began <= h.sent_at < phase.ended), n=100)[98]


def _measure(broker: Broker, daemon: Process, is_over: Callable[[], bool]) -> _Phase:
    began, cpu, writes = time.time(), daemon.cpu, broker.written()
    while not is_over():
        time.sleep(_POLL_SECONDS)
    return _Phase(began, time.time(), daemon.cpu - cpu, broker.written() - writes)


def _lasts(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end


def _stands_still(broker: Broker) -> Callable[[], bool]:
    """Whether nothing was written for three seconds."""
    last, since = broker.written(), time.monotonic()

    def over() -> bool:
        nonlocal last, since
        if (now := broker.written()) != last:
            last, since = now, time.monotonic()
        return time.monotonic() >= since + 3.0

    return over


@contextmanager
def _coming(broker: Broker, topic: str, number: int) -> Iterator[None]:
    """Events for the dead endpoint, at their rate."""

    def run() -> None:
        began = time.monotonic()
        with broker.producing(topic) as produce:
            for serial in range(number):
                if not serial % 50:
                    time.sleep(max(0.0, began + serial / _DEAD_RATE - time.monotonic()))
                produce(serial, event(serial, _DEAD))

    with _beside(run):
        yield


@contextmanager
def _steadily(broker: Broker, topic: str) -> Iterator[None]:
    """Events for the healthy endpoint, all the time."""
    over = threading.Event()

    def run() -> None:
        began = time.monotonic()
        with broker.producing(topic) as produce:
            for number in count():
                if over.wait(max(0.0, began + number / _STEADY - time.monotonic())):
                    return
                produce(number, event(number, _HEALTHY))

    with _beside(run):
        try:
            yield
        finally:
            over.set()


@contextmanager
def _beside(run: Callable[[], None]) -> Iterator[None]:
    """Run a thread meanwhile, and wait for its end."""
    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join()
