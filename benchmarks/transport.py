"""`python -m benchmarks.transport`: what one GET costs, by transport. Needs nginx, and no broker.

A fixed number of GETs, 64 in flight, from one process on uvloop; the CPU time is that of the
client's process, all threads. The bare loop is the least that pycurl can do: one thread, handles
used again, no answers for anybody.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pycurl  # type: ignore[import-untyped]  # the stubs of others lag behind its constants
import uvloop

from benchmarks.errors import BenchmarkError
from benchmarks.receiver import Receiver, Tls
from consumer.clock import SystemClock
from consumer.delivery.aiohttp import AiohttpTransport
from consumer.delivery.curl import CurlTransport
from consumer.delivery.guard import Policy
from consumer.delivery.transport import Answer, Request, Transport

_IN_FLIGHT = 64
_OK = 204
_HEADERS = [
    b"user-agent: hookstream/0.1.0",
    b"webhook-id: 01JD8Y2M3N4P5Q6R7S8T9V0W1X:click-analytics",
    b"webhook-timestamp: 1700000000",
    b"webhook-signature: v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
]
_POLICY = Policy.of(allow=["127.0.0.0/8"])
Opener = Callable[[asyncio.AbstractEventLoop, str | None], Transport]


class Cost(NamedTuple):
    """Of one run."""

    rate: float
    """GETs a second."""
    cpu: float
    """Microseconds of the client's CPU time for a GET."""


def main() -> None:
    """Every transport on plain HTTP, TLS and, where it can, HTTP/2; the medians."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.transport", description=__doc__)
    parser.add_argument("--count", type=int, default=20_000, help="GETs of a run (20000)")
    parser.add_argument("--runs", type=int, default=5, help="runs of each, taken in turn (5)")
    options = parser.parse_args()
    print(f"{'':8}{'':10}{'GET/s':>8}{'us CPU':>8}{'against curl':>14}")
    with tempfile.TemporaryDirectory(prefix="hookstream-benchmark-") as name:
        for scheme, tls in _schemes(Path(name)):
            with Receiver(Path(name) / scheme, tls) as receiver:
                _compare(scheme, receiver.origin, tls, options.count, options.runs)


def _schemes(folder: Path) -> Iterator[tuple[str, Tls | None]]:
    yield "http", None
    yield "https", Tls.make(folder, http2=False)
    yield "http2", Tls.make(folder, http2=True)


def _compare(scheme: str, origin: str, tls: Tls | None, count: int, runs: int) -> None:
    ca_file = str(tls.ca_file) if tls else None
    contestants: dict[str, Callable[[], Cost]] = {
        "curl": lambda: _run(_open_curl, origin, ca_file, count),
        "bare": lambda: _run_bare(origin, ca_file, count),
    }
    if scheme != "http2":
        contestants["aiohttp"] = lambda: _run(_open_aiohttp, origin, ca_file, count)
    costs: dict[str, list[Cost]] = {name: [] for name in contestants}
    for _ in range(runs):
        for name, run in contestants.items():
            costs[name].append(run())
    medians = {
        name: Cost(*map(statistics.median, zip(*each, strict=True))) for name, each in costs.items()
    }
    for name, cost in medians.items():
        ratio = cost.cpu / medians["curl"].cpu
        print(f"{scheme:8}{name:10}{cost.rate:8.0f}{cost.cpu:8.1f}{ratio:13.2f}x")


def _open_curl(loop: asyncio.AbstractEventLoop, ca_file: str | None) -> Transport:
    return CurlTransport(loop, _POLICY, ca_file=ca_file)


def _open_aiohttp(loop: asyncio.AbstractEventLoop, ca_file: str | None) -> Transport:
    return AiohttpTransport(loop, _POLICY, clock=SystemClock(), ca_file=ca_file)


def _run(opener: Opener, origin: str, ca_file: str | None, count: int) -> Cost:
    return uvloop.run(_measure(opener, origin, ca_file, count))


async def _measure(opener: Opener, origin: str, ca_file: str | None, count: int) -> Cost:
    loop = asyncio.get_running_loop()
    transport = opener(loop, ca_file)
    finished = loop.create_future()
    left = to_send = count

    def send() -> None:
        nonlocal to_send
        to_send -= 1
        transport.send(Request(origin, f"/collect/spring?uid={to_send}", _HEADERS, 10, 5), done)

    def done(answer: Answer) -> None:
        nonlocal left
        left -= 1
        if answer.status != _OK and not finished.done():
            finished.set_exception(BenchmarkError(f"answered {answer.status} {answer.detail}"))
        elif left == 0:
            finished.set_result(None)
        elif to_send:
            send()

    try:
        with _stopwatch(count) as cost:
            for _ in range(_IN_FLIGHT):
                send()
            await finished
    finally:
        await transport.close()
    return cost()


def _run_bare(origin: str, ca_file: str | None, count: int) -> Cost:
    multi = pycurl.CurlMulti()
    free = [_bare_handle(ca_file) for _ in range(_IN_FLIGHT)]
    left = to_send = count
    with _stopwatch(count) as cost:
        while left:
            while free and to_send:
                to_send -= 1
                handle = free.pop()
                handle.setopt(pycurl.URL, f"{origin}/collect/spring?uid={to_send}")
                multi.add_handle(handle)
            multi.perform()
            _, succeeded, failed = multi.info_read()
            if failed:
                raise BenchmarkError(f"answered {failed[0][2]}")
            for handle in succeeded:
                multi.remove_handle(handle)
                free.append(handle)
                left -= 1
            if not succeeded:
                multi.select(1.0)
    for handle in free:
        handle.close()
    multi.close()
    return cost()


def _bare_handle(ca_file: str | None) -> Any:
    handle = pycurl.Curl()
    handle.setopt(pycurl.WRITEFUNCTION, len)
    handle.setopt(pycurl.HTTPHEADER, _HEADERS)
    handle.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS)
    if ca_file:
        handle.setopt(pycurl.CAINFO, ca_file)
    return handle


@contextmanager
def _stopwatch(count: int) -> Iterator[Callable[[], Cost]]:
    """Gives what the block cost, once it is over."""
    cost: list[Cost] = []
    wall, cpu = time.perf_counter(), time.process_time()
    yield lambda: cost[0]
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    cost.append(Cost(count / wall, cpu / count * 1e6))


if __name__ == "__main__":
    main()
