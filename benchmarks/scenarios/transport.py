"""The cost of one GET by HTTP client, without Kafka.

This process sends a fixed number of GETs on uvloop, 64 in flight; the CPU time is that of all its
threads. The bare loop is the least that pycurl can do: one thread, reused handles, no results.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pycurl  # type: ignore[import-untyped]  # the stubs of others lag behind its constants
import uvloop

from benchmarks.bench import Bench, Row, compare, rotate
from benchmarks.errors import BenchmarkError
from benchmarks.receiver import Receiver, Tls
from consumer.clock import SystemClock
from consumer.delivery.egress.guard import EgressPolicy
from consumer.delivery.http.aiohttp import AiohttpTransport
from consumer.delivery.http.authorities import Authorities
from consumer.delivery.http.curl import CurlTransport
from consumer.delivery.http.transport import AttemptResult, Request

_GETS = 20_000
_AIOHTTP = "aiohttp"
_IN_FLIGHT = 64
_OK = 204
_HEADERS = [
    b"user-agent: hookstream/1.0.0",
    b"webhook-id: 01JD8Y2M3N4P5Q6R7S8T9V0W1X:click-analytics",
    b"webhook-timestamp: 1700000000",
    b"webhook-signature: v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
]
_POLICY = EgressPolicy.of(allow=["127.0.0.0/8"])


class _Client(Protocol):
    """The part of a `Transport` that a GET needs."""

    def send(self, request: Request, done: Callable[[AttemptResult], None]) -> None: ...
    async def close(self) -> None: ...


_Opener = Callable[[asyncio.AbstractEventLoop, str | None], _Client]


class _Cost(NamedTuple):
    """The cost of one run."""

    rate: float
    """GETs a second."""
    cpu: float
    """Microseconds of CPU time per GET."""


def transport(bench: Bench) -> list[Row]:
    """Compare libcurl on the event loop with the other clients, by scheme."""
    schemes = {
        "HTTP": None,
        "HTTPS": Tls.make(bench.new_made_folder(), http2=False),
        "HTTP/2": Tls.make(bench.new_made_folder(), http2=True),
    }
    return [row for name, tls in schemes.items() for row in _compare(bench, name, tls)]


def _compare(bench: Bench, scheme: str, tls: Tls | None) -> Iterator[Row]:
    gets, ca_file = bench.scaled(_GETS), str(tls.ca_file) if tls else None
    with Receiver(bench.new_folder(), tls) as receiver:
        client = partial(_run, origin=receiver.origin, ca_file=ca_file, count=gets)
        others = {
            _AIOHTTP: partial(client, _open_aiohttp),
            "a bare libcurl loop": partial(_run_bare, receiver.origin, ca_file, gets),
        }
        if scheme == "HTTP/2":
            del others[_AIOHTTP]  # it has HTTP/1.1 only
        rounds = rotate(bench.pairs, [partial(client, _open_curl), *others.values()])
    for index, name in enumerate(others, start=1):
        pairs = [(each[0], each[index]) for each in rounds]
        figures = f"{scheme}, {name}"
        yield compare(f"CPU per GET, {figures}", "us", pairs, lambda cost: cost.cpu, None)
        yield compare(f"GETs a second, {figures}", "1/s", pairs, lambda cost: cost.rate, None)


def _open_curl(loop: asyncio.AbstractEventLoop, ca_file: str | None) -> _Client:
    return CurlTransport(loop, _POLICY, _authorities(ca_file))


def _open_aiohttp(loop: asyncio.AbstractEventLoop, ca_file: str | None) -> _Client:
    return AiohttpTransport(loop, _POLICY, _authorities(ca_file), clock=SystemClock())


def _authorities(ca_file: str | None) -> Authorities:
    return Authorities(Path(ca_file).read_bytes() if ca_file is not None else b"")


def _run(opener: _Opener, origin: str, ca_file: str | None, count: int) -> _Cost:
    return uvloop.run(_measure(opener, origin, ca_file, count))


async def _measure(opener: _Opener, origin: str, ca_file: str | None, count: int) -> _Cost:
    loop = asyncio.get_running_loop()
    transport = opener(loop, ca_file)
    finished = loop.create_future()
    remaining = to_send = count

    def send() -> None:
        nonlocal to_send
        to_send -= 1
        transport.send(Request(origin, f"/collect/spring?uid={to_send}", _HEADERS, 10, 5), done)

    def done(answer: AttemptResult) -> None:
        nonlocal remaining
        remaining -= 1
        if answer.status != _OK and not finished.done():
            finished.set_exception(BenchmarkError(f"answered {answer.status} {answer.detail}"))
        elif remaining == 0:
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


def _run_bare(origin: str, ca_file: str | None, count: int) -> _Cost:
    multi = pycurl.CurlMulti()
    free = [_bare_handle(ca_file) for _ in range(_IN_FLIGHT)]
    remaining = to_send = count
    with _stopwatch(count) as cost:
        while remaining:
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
                remaining -= 1
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
def _stopwatch(count: int) -> Iterator[Callable[[], _Cost]]:
    """Yields a function that returns the block's cost after its end."""
    cost: list[_Cost] = []
    wall, cpu = time.perf_counter(), time.process_time()
    yield lambda: cost[0]
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    cost.append(_Cost(count / wall, cpu / count * 1e6))
