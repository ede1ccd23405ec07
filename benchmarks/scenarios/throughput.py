"""The cost of a delivery without failures, compared with the forty lines."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from benchmarks.bench import Bench, Limit, Row, Run, Window, alternate, compare
from benchmarks.broker import PARTITIONS
from benchmarks.contestants import FORTY_LINES, Contestant, Daemon, Endpoint, Task
from benchmarks.errors import BenchmarkError
from benchmarks.events import UNWANTED, event
from benchmarks.receiver import Hit, Receiver, Tls

_EVENTS = 50_000
_UNWANTED = 200_000
_FAN = 10
_HALF: Limit = ("<=", 0.5)
_TWICE: Limit = ("<=", 2.0)
_WARM_UP = 10
"""The measurement begins after a tenth of the requests."""


def plain(bench: Bench) -> list[Row]:
    """One hook, one receiver."""
    return _deliveries(bench, bench.scaled(_EVENTS), cpu=_HALF, start=_TWICE)


def tls(bench: Bench) -> list[Row]:
    """HTTP/1.1 over TLS."""
    return _deliveries(bench, bench.scaled(_EVENTS), tls=Tls.make(bench.folder, http2=False))


def http2(bench: Bench) -> list[Row]:
    """HTTP/2 over TLS for the daemon; aiohttp has HTTP/1.1 only."""
    return _deliveries(bench, bench.scaled(_EVENTS), tls=Tls.make(bench.folder, http2=True))


def fan_out(bench: Bench) -> list[Row]:
    """Decoding and matching are shared by ten deliveries."""
    return _deliveries(bench, bench.scaled(_EVENTS // _FAN), fan=_FAN)


def no_match(bench: Bench) -> list[Row]:
    """Events that no hook wants, between a wanted one at each end of every partition."""
    events = bench.scaled(_UNWANTED)
    topic = bench.broker.fill(_mostly_unwanted(events))
    window = Window(1, 2 * PARTITIONS, events)

    def run(contestant: Contestant) -> Run:
        with Receiver(bench.new_folder()) as receiver:
            task = Task(bench.broker.bootstrap, topic, [Endpoint("only", receiver.origin)])
            return bench.measure(contestant, task, receiver, window)

    pairs = alternate(bench.pairs, lambda: run(Daemon()), lambda: run(FORTY_LINES))
    bench.broker.forget(topic)
    return rows(pairs, "event", "events")


def _deliveries(
    bench: Bench,
    events: int,
    *,
    fan: int = 1,
    tls: Tls | None = None,
    cpu: Limit | None = None,
    start: Limit | None = None,
) -> list[Row]:
    topic = bench.fill(events)
    deliveries = events * fan
    warm_up = deliveries // _WARM_UP
    window = Window(warm_up, deliveries, deliveries - warm_up)
    ca_file: Path | None = tls.ca_file if tls else None

    def run(contestant: Contestant) -> Run:
        with Receiver(bench.new_folder(), tls) as receiver:
            endpoints = [Endpoint(f"hook-{n}", f"{receiver.origin}/{n}") for n in range(fan)]
            task = Task(bench.broker.bootstrap, topic, endpoints, ca_file)
            found = bench.measure(contestant, task, receiver, window)
        require(found.hits, deliveries)
        return found

    pairs = alternate(bench.pairs, lambda: run(Daemon()), lambda: run(FORTY_LINES))
    bench.broker.forget(topic)
    return rows(pairs, "delivery", "deliveries", cpu=cpu, start=start)


def require(hits: Iterable[Hit], deliveries: int) -> None:
    """Raise `BenchmarkError` unless `deliveries` different deliveries were answered with 2xx."""
    arrived = len({(hit.path, hit.number) for hit in hits if hit.delivered})
    if arrived != deliveries:
        raise BenchmarkError(f"{arrived} of {deliveries} deliveries arrived")


def rows(
    pairs: list[tuple[Run, Run]],
    unit: str,
    units: str,
    *,
    cpu: Limit | None = None,
    start: Limit | None = None,
) -> list[Row]:
    """The figures of every comparison of whole runs; `cpu` and `start` bound their ratios."""
    return [
        compare(f"CPU per {unit}", "us", pairs, lambda run: run.cpu, cpu),
        compare(f"{units} a second", "1/s", pairs, lambda run: run.per_second, None),
        compare("peak memory", "MB", pairs, lambda run: run.peak, None),
        compare("start to first request", "s", pairs, lambda run: run.first, start),
    ]


def _mostly_unwanted(events: int) -> Iterator[bytes]:
    for number in range(PARTITIONS):
        yield event(number)
    for number in range(events):
        yield event(number, UNWANTED)
    for number in range(PARTITIONS):
        yield event(number)
