"""The admin server over real sockets: what probes, Prometheus and `curl` see."""

import asyncio
import gzip
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.registry import Collector

from consumer.admin import Admin, ProbeResult
from consumer.admin.server import MAX_CONNECTIONS
from consumer.errors import HookstreamError
from consumer.metrics import Metrics

STARTED = asyncio.Event()
STARTED.set()
LIMIT = 10.0
"""Seconds that any wait here may take before the test fails."""


class Answer(NamedTuple):
    """One HTTP response as it came over the wire."""

    status: int
    headers: dict[str, str]
    body: bytes


@asynccontextmanager
async def admin(
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    registry: CollectorRegistry | None = None,
    health: Callable[[], ProbeResult] = lambda: ProbeResult(ok=True, reason="alive"),
    ready: Callable[[], ProbeResult] = lambda: ProbeResult(ok=True, reason="ready"),
    idle: float = 5.0,
) -> AsyncIterator[Admin]:
    """A server with answers that are good unless the test says otherwise."""
    async with Admin(
        hosts=host.split(),
        port=port,
        registry=registry or CollectorRegistry(),
        health=health,
        ready=ready,
        idle=idle,
    ) as server:
        await server.serve(STARTED)
        yield server


def web_server(server: Admin) -> web.Server:
    """The server of aiohttp, which knows its connections."""
    assert server._server is not None
    found = server._server._runner.server
    assert found is not None
    return found


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what no event tells of."""
    async with asyncio.timeout(LIMIT):
        while not condition():  # noqa: ASYNC110 aiohttp keeps its connections to itself
            await asyncio.sleep(0.005)


async def exchange(server: Admin, sent: bytes, host: str = "127.0.0.1") -> bytes:
    """All that the server says to these bytes until it closes the connection."""
    async with asyncio.timeout(LIMIT):
        reader, writer = await asyncio.open_connection(host, server.port)
        try:
            writer.write(sent)
            return await reader.read()
        finally:
            writer.close()
            await writer.wait_closed()


async def ask(
    server: Admin, path: str, *headers: str, method: str = "GET", host: str = "127.0.0.1"
) -> Answer:
    """One request on a connection of its own."""
    lines = [f"{method} {path} HTTP/1.1", "Host: admin", "Connection: close", *headers, "", ""]
    head, _, body = (await exchange(server, "\r\n".join(lines).encode(), host)).partition(
        b"\r\n\r\n"
    )
    first, *rest = head.decode().split("\r\n")
    named = (line.split(": ", 1) for line in rest)
    return Answer(int(first.split()[1]), {name.lower(): value for name, value in named}, body)


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_a_probe_is_asked_anew_each_time(path: str) -> None:
    """A probe is evaluated at each request and answers 200 or 503 with the reason."""
    probe_result = ProbeResult(ok=True, reason="3 hooks loaded")
    well = ProbeResult(ok=True, reason="")
    asked, other = (lambda: probe_result), (lambda: well)
    health, ready = (asked, other) if path == "/healthz" else (other, asked)
    async with admin(health=health, ready=ready) as server:
        good = await ask(server, path)
        probe_result = ProbeResult(ok=False, reason="no partition assigned")
        bad = await ask(server, path)
    assert (good.status, json.loads(good.body)) == (200, {"ok": True, "reason": "3 hooks loaded"})
    assert bad.status == 503
    assert json.loads(bad.body) == {"ok": False, "reason": "no partition assigned"}
    assert bad.headers["content-type"] == "application/json"


async def test_the_probes_are_apart() -> None:
    """A daemon that is not ready is still alive, so that Kubernetes does not restart it."""
    async with admin(ready=lambda: ProbeResult(ok=False, reason="no hooks")) as server:
        assert (await ask(server, "/healthz")).status == 200
        assert (await ask(server, "/readyz")).status == 503


async def test_metrics_are_prometheus_text() -> None:
    """Without an Accept header the metrics are in the classic text format, with the daemon's own
    series.
    """
    metrics = Metrics("1.2.3")
    metrics.hook("h1").delivered()
    async with admin(registry=metrics.registry) as server:
        answer = await ask(server, "/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = {
        (sample.name, sample.labels.get("outcome")): sample.value
        for family in parse_text(answer.body.decode())
        for sample in family.samples
    }
    assert found["hookstream_deliveries_total", "delivered"] == 1


async def test_metrics_are_openmetrics_if_asked() -> None:
    """The metrics are OpenMetrics if the Accept header prefers it, as Prometheus's does."""
    wish = "Accept: application/openmetrics-text;version=1.0.0;q=0.6,text/plain;q=0.3"
    async with admin(registry=Metrics("1").registry) as server:
        answer = await ask(server, "/metrics", wish)
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.body.endswith(b"# EOF\n")
    assert list(parse_openmetrics(answer.body.decode()))  # type: ignore[no-untyped-call]


async def test_an_accept_header_of_nonsense_gets_the_plain_text() -> None:
    """An Accept header with an invalid version gets the classic text format and no error."""
    async with admin() as server:
        answer = await ask(server, "/metrics", "Accept: text/plain;version=1.x")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")


async def test_metrics_are_compressed_only_if_accepted() -> None:
    """The metrics are gzip-compressed only for clients that accept it."""
    registry = CollectorRegistry()
    Counter("said", "Said.", registry=registry).inc()
    async with admin(registry=registry) as server:
        plain = await ask(server, "/metrics")
        packed = await ask(server, "/metrics", "Accept-Encoding: deflate, gzip")
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body
    assert b"said_total 1.0" in plain.body


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/nothing"])
async def test_head_is_get_without_the_body(path: str) -> None:
    """HEAD is answered with GET's status and length and without a body (RFC 9110, section
    9.3.2).
    """
    registry = CollectorRegistry()
    Counter("said", "Said.", registry=registry).inc()
    async with admin(registry=registry) as server:
        got = await ask(server, path)
        head = await ask(server, path, method="HEAD")
    assert head.body == b""
    assert head.status == got.status
    assert head.headers["content-length"] == got.headers["content-length"]


async def test_other_methods_and_paths_are_refused() -> None:
    """Other methods and paths are answered 405 and 404 in JSON, so nothing can be changed here."""
    async with admin() as server:
        missing = await ask(server, "/")
        posted = await ask(server, "/healthz", "Content-Length: 0", method="POST")
    assert (missing.status, json.loads(missing.body)) == (404, {"error": "Not Found"})
    assert (posted.status, posted.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    "sent", [b"GET /healthz HTTP/1.1\r\n\r\n", b"\x16\x03\x01 nonsense\r\n\r\n"]
)
async def test_no_answer_tells_the_version(sent: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """No answer tells a version, errors included, and a scanner's request writes no log line."""
    async with admin(idle=0.2) as server:
        said = await exchange(server, sent)
    assert b"\r\nserver: hookstream\r\n" in said.lower()
    assert b"aiohttp" not in said.lower()
    assert b"python" not in said.lower()
    assert caplog.records == []


async def test_a_probe_that_fails_is_an_error_and_a_line(caplog: pytest.LogCaptureFixture) -> None:
    """A bug in a probe is answered with 500 and logged with its traceback."""

    def broken() -> ProbeResult:
        raise RuntimeError("boom")

    async with admin(health=broken) as server:
        answer = await ask(server, "/healthz")
    assert (answer.status, json.loads(answer.body)) == (500, {"error": "Internal Server Error"})
    assert [record.getMessage() for record in caplog.records] == ["admin request failed"]
    assert caplog.records[0].exc_info is not None


@pytest.mark.parametrize("started", [True, False])
async def test_early_requests_wait_for_the_start(
    started: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A probe that comes while the daemon starts is answered when it has started, and after a
    moment if that takes long.
    """
    good, ready = ProbeResult(ok=True, reason="good"), asyncio.Event()
    monkeypatch.setattr("consumer.admin.admin.MAX_DELAY_SECONDS", 3600 if started else 0)
    async with Admin(
        hosts=["127.0.0.1"],
        port=0,
        registry=CollectorRegistry(),
        health=lambda: good,
        ready=lambda: good,
    ) as server:
        early = asyncio.create_task(ask(server, "/readyz"))
        serving = asyncio.create_task(server.serve(ready))
        done, _ = await asyncio.wait({early, serving}, timeout=0)
        assert not done
        if started:
            ready.set()
        assert (await early).status == 200
        await serving


async def test_a_connection_serves_many_requests() -> None:
    """One connection serves many requests, as Prometheus uses it."""
    request = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
    last = b"GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    async with admin() as server:
        said = await exchange(server, request + request + last)
    assert said.count(b"HTTP/1.1 200 OK") == 3


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HT", b"GET /healthz HTTP/1.1\r\nHost: a\r\n"])
async def test_a_client_that_never_finishes_is_let_go(sent: bytes) -> None:
    """A client that never finishes its request is disconnected after the idle time."""
    async with admin(idle=0.1) as server:
        assert await exchange(server, sent) == b""


@pytest.mark.parametrize(
    ("head", "drop"),
    [
        (b"GET /healthz HTTP/1.1\r\nX-A: ", b"a"),
        (b"", b"\r\n"),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 99999\r\n\r\n", b"a"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"),
    ],
    ids=["a header", "empty lines", "a body", "chunks"],
)
async def test_a_client_that_drips_is_let_go(head: bytes, drop: bytes) -> None:
    """Bytes that trickle in do not extend a connection's time, neither before the answer nor after
    it.
    """
    async with admin(idle=0.1) as server, asyncio.timeout(LIMIT / 2):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(head)
        told = asyncio.create_task(reader.read())
        while not told.done():
            writer.write(drop)
            await asyncio.wait({told}, timeout=0.02)
        writer.transport.abort()
        with suppress(ConnectionError):  # it was reset while it still spoke
            await told


class Large(Collector):
    """Metrics whose text is larger than any socket's buffers."""

    def collect(self) -> list[Metric]:
        """One metric with 20 MB of help."""
        metric = Metric("large", "x" * 20_000_000, "gauge")
        metric.add_sample("large", {}, 1)
        return [metric]


async def test_a_client_that_never_reads_is_let_go() -> None:
    r"""A client that does not read its answer is disconnected after the idle time.

    1. A client asks for more than the sockets' buffers hold and does not read.\n2. The server ends
    the connection, which is seen as a reset on the client's side.
    """
    registry = CollectorRegistry()
    registry.register(Large())
    async with admin(registry=registry, idle=0.2) as server:
        http = web_server(server)
        loop = asyncio.get_running_loop()
        with socket.socket() as client:
            client.setblocking(False)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            await loop.sock_connect(client, ("127.0.0.1", server.port))
            await loop.sock_sendall(client, b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
            await until(lambda: len(http.connections) == 1)
            await until(lambda: len(http.connections) == 0)


async def test_very_many_silent_clients_do_not_keep_a_probe_out() -> None:
    """A probe is answered at once though more silent clients connect than connections are allowed.

    1. More clients connect than connections are allowed, and say nothing. 2. The oldest are
    disconnected, and no more connections are open than allowed. 3. A probe is answered at once.
    """
    async with admin(idle=3600) as server:
        clients = [
            await asyncio.open_connection("127.0.0.1", server.port)
            for _ in range(MAX_CONNECTIONS + 20)
        ]
        async with asyncio.timeout(LIMIT):
            for reader, _ in clients[:20]:
                with suppress(ConnectionResetError):
                    assert await reader.read() == b""
        assert (await ask(server, "/healthz")).status == 200
        http = web_server(server)
        assert http is not None
        await until(lambda: len(http.connections) <= MAX_CONNECTIONS)
        for _, writer in clients:
            writer.transport.abort()


async def test_a_silent_client_does_not_hold_up_the_end() -> None:
    """The server's end closes idle connections at once."""
    async with asyncio.timeout(LIMIT):
        async with admin(idle=3600) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()


async def test_a_port_in_use_is_one_sentence() -> None:
    """A port in use is one sentence with host and port, the system's reason and the settings to
    change.
    """
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(HookstreamError) as caught:
            async with admin(port=port):
                pass
    assert str(caught.value) == (
        f"the admin server cannot listen on 127.0.0.1:{port} (Address already in use): "
        "set admin.host and admin.port to a free address of this machine"
    )


async def test_a_host_that_is_none_is_one_sentence() -> None:
    """A host that does not resolve is one sentence in the resolver's words."""
    with pytest.raises(HookstreamError, match=r"on nowhere\.invalid:0 \(.+\): set admin\.host"):
        async with admin(host="nowhere.invalid"):
            pass


async def test_ipv6_is_served() -> None:
    """An IPv6 address without brackets in the settings is served."""
    async with admin(host="::1") as server:
        assert (await ask(server, "/healthz", host="::1")).status == 200
        with pytest.raises(HookstreamError, match=r"on \[::1\]:\d+ \(Address already in use\)"):
            async with admin(host="::1", port=server.port):
                pass


async def test_several_hosts_are_served_at_one_port() -> None:
    """Several hosts are served at one port, IPv4 and IPv6, and with port 0 at the same free one."""
    async with admin(host="127.0.0.1 ::1 127.0.0.2 localhost") as server:
        for host in ("127.0.0.1", "::1", "127.0.0.2", "localhost"):
            assert (await ask(server, "/healthz", host=host)).status == 200


async def test_a_name_is_served_at_the_addresses_that_there_are() -> None:
    """The name `localhost` is served at both address families if both exist."""
    async with admin(host="localhost") as server:
        assert (await ask(server, "/healthz", host="127.0.0.1")).status == 200


async def test_one_host_of_several_that_is_none_is_one_sentence() -> None:
    """If one host of several cannot be served, that is one sentence, and the others are closed."""
    with pytest.raises(HookstreamError, match=r"on 192\.0\.2\.1:\d+ \(.+\): set admin\.host"):
        async with admin(host="127.0.0.1 192.0.2.1"):
            pass
