"""Connections of the panel: slow clients, those that leave, and very many."""

import asyncio
import gc
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
from aiohttp import web

from consumer.panel.connections import MAX_CONNECTIONS, MAX_PEER_CONNECTIONS, make_runner
from consumer.panel.panel import Panel
from consumer.settings import KafkaSettings
from support.bare_panel import head_of, raw, status_of, write_panel
from support.panel import TOKENS, Client, running_panel, token_entries
from support.waiting import wait_until


@pytest.fixture
async def panel(tmp_path: Path) -> AsyncIterator[Panel]:
    """A panel with a token for each role, on loopback."""
    async with running_panel(write_panel(tmp_path, tokens=token_entries()), idle=1.0) as panel:
        yield panel


async def test_slow_clients_are_cut_off(panel: Panel) -> None:
    """A connection on which no whole request comes is closed after the idle time, while others are
    served.
    """
    began = asyncio.get_running_loop().time()
    slow = [
        asyncio.create_task(raw(panel, sent))
        for sent in (b"", b"GET /healthz HT", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n")
    ]
    assert (await Client(panel.url)("GET", "/healthz")).status == 200
    assert await asyncio.gather(*slow) == [b"", b"", b""]
    assert asyncio.get_running_loop().time() - began < 15


async def test_a_client_that_reads_nothing_is_cut_off(panel: Panel) -> None:
    """A client that asks for more than the sockets' buffers hold, and reads nothing, is cut off."""
    loop = asyncio.get_running_loop()
    ask = head_of(panel, "GET /api/v1/openapi.json HTTP/1.1").replace(b"Connection: close\r\n", b"")
    with socket.socket() as client:
        client.setblocking(False)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await loop.sock_connect(client, ("127.0.0.1", panel.port))

        async def send_for_ever() -> None:
            while True:
                await loop.sock_sendall(client, ask)

        with pytest.raises(ConnectionError):
            await asyncio.wait_for(send_for_ever(), 30)
    assert (await Client(panel.url)("GET", "/healthz")).status == 200


async def test_a_client_that_leaves_is_no_bug(
    panel: Panel, caplog: pytest.LogCaptureFixture
) -> None:
    """A client that leaves before its body is whole is in the log as a request, and not as a
    failure of the panel.
    """
    caplog.set_level("INFO")
    head = head_of(
        panel, "POST /api/v1/session HTTP/1.1", "Content-Type: application/json",
        "Content-Length: 100",
    )  # fmt: skip
    _, writer = await asyncio.open_connection("127.0.0.1", panel.port)
    writer.write(head + b"{")
    await writer.drain()
    writer.transport.abort()
    await wait_until(
        lambda: [one for one in caplog.records if one.name.startswith("consumer.panel")],
        "the end of the request",
    )
    [line] = [one for one in caplog.records if one.name.startswith("consumer.panel")]
    assert (line.getMessage(), line.levelname) == ("request", "INFO")


class _Hanging:
    """A replay whose plan never comes."""

    began: ClassVar[list[object]] = []
    ended: ClassVar[list[object]] = []

    def __init__(self, *_: object, **__: object) -> None:
        """As `Replay`."""

    async def plan(self) -> None:
        """Hang, and note the end."""
        self.began.append(self)
        try:
            await asyncio.Event().wait()
        finally:
            self.ended.append(self)


@pytest.fixture
def reachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Brokers seem to answer, from the panel's start on."""

    async def ask(_settings: KafkaSettings) -> None:
        """As `ask_brokers`."""

    monkeypatch.setattr("consumer.services.broker_watch.ask_brokers", ask)


def _replay_head(panel: Panel, body: bytes, *headers: str) -> bytes:
    return head_of(
        panel, "POST /api/v1/dead-letters:replay HTTP/1.1", "Content-Type: application/json",
        f"Authorization: Bearer {TOKENS['operator']}", f"Content-Length: {len(body)}", *headers,
    )  # fmt: skip


@pytest.mark.usefixtures("reachable")
@pytest.mark.parametrize("headers", [(), ("Accept: application/x-ndjson",)])
async def test_a_replay_ends_with_its_client(
    panel: Panel, monkeypatch: pytest.MonkeyPatch, headers: tuple[str, ...]
) -> None:
    """A replay whose client leaves ends, whether it wants lines or one answer, before its first
    line too.
    """
    monkeypatch.setattr("consumer.panel.api_dead_letters.Replay", _Hanging)
    _Hanging.began.clear()
    _Hanging.ended.clear()
    body = b'{"expected": 1}'
    _, writer = await asyncio.open_connection("127.0.0.1", panel.port)
    writer.write(_replay_head(panel, body, *headers) + body)
    await wait_until(lambda: _Hanging.began, "the replay to begin")
    writer.transport.abort()
    await wait_until(lambda: _Hanging.ended, "the replay to end")


@pytest.mark.usefixtures("reachable")
async def test_a_first_line_has_its_time(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request for lines without a first one in the route's time is answered with 503."""
    monkeypatch.setattr("consumer.panel.api_dead_letters.Replay", _Hanging)
    panel.routes.all = [replace(route, seconds=0.2) for route in panel.routes.all]
    body = b'{"expected": 1}'
    head = _replay_head(panel, body, "Accept: application/x-ndjson")
    assert status_of(await raw(panel, head, body)) == 503


async def test_one_address_keeps_no_other_out(panel: Panel) -> None:
    """An address has a quarter of the connections, however it uses them: others are served while
    its requests hang, and what it opens above that is closed.
    """
    head = head_of(
        panel, "POST /api/v1/session HTTP/1.1", "Content-Type: application/json",
        "Content-Length: 100",
    )  # fmt: skip
    slow = [
        asyncio.create_task(raw(panel, head, b"{", peer="127.0.0.2"))
        for _ in range(MAX_CONNECTIONS)
    ]
    assert (await Client(panel.url)("GET", "/session")).status == 200
    statuses = Counter(status_of(answer) for answer in await asyncio.gather(*slow))
    assert statuses == {408: MAX_PEER_CONNECTIONS, 0: MAX_CONNECTIONS - MAX_PEER_CONNECTIONS}


async def test_a_connection_that_is_closed_at_once_is_no_bug() -> None:
    """A connection above the limit, which is closed when it is accepted, leaves no error behind."""
    failures, begun, go_on = list[object](), list[object](), asyncio.Event()
    asyncio.get_running_loop().set_exception_handler(lambda _, found: failures.append(found))

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        begun.append(request)
        await go_on.wait()
        return web.Response()

    runner = make_runner(handle, lambda peer: peer)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0]
    busy = [await asyncio.open_connection(host, port) for _ in range(MAX_PEER_CONNECTIONS)]
    try:
        for _, writer in busy:
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await wait_until(lambda: len(begun) == MAX_PEER_CONNECTIONS, "the requests to begin")
        reader, writer = await asyncio.open_connection(host, port)
        busy.append((reader, writer))
        with suppress(ConnectionError):
            assert await reader.read() == b""
    finally:
        go_on.set()
        for _, writer in busy:
            writer.transport.abort()
        await runner.cleanup()
    gc.collect()  # asyncio tells of a task's error when the task is collected
    assert failures == []


async def test_idle_connections_keep_no_client_out(tmp_path: Path) -> None:
    """Above the number of connections that the panel keeps, the oldest idle ones are closed, and
    new ones are served.
    """
    async with running_panel(write_panel(tmp_path, tokens=token_entries()), idle=60.0) as panel:
        connections = [
            await asyncio.open_connection(
                "127.0.0.1", panel.port, local_addr=(f"127.0.0.{2 + number % 5}", 0)
            )
            for number in range(MAX_CONNECTIONS + 20)
        ]
        try:
            assert (await Client(panel.url)("GET", "/healthz")).status == 200
            readers = [reader for reader, _ in connections]
            closed = await asyncio.gather(
                *(reader.read() for reader in readers[:20]), return_exceptions=True
            )
            assert all(end == b"" or isinstance(end, ConnectionError) for end in closed)
            assert not any(reader.at_eof() for reader in readers[-100:])
        finally:
            for _, writer in connections:
                writer.transport.abort()
