"""A steady load: events for many hooks, and a receiver at many addresses that answers them all."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any
from zlib import crc32

from support.workspace import Workspace, event, hook

HOOKS = 300
FAILING = 0
"""The hook whose first attempts fail for one delivery in four: its circuit stays closed."""
_FAILS_ONE_IN = 4
DOWN = 1
"""The hook whose every attempt fails, if the load has one."""
_ADDRESSES = 10
"""The number of addresses of one generation of hosts."""
_BATCHES_PER_SECOND = 20
_OK = b"HTTP/1.1 204 No Content\r\n\r\n"
_UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"


class LoadReceiver:
    """Servers at ten loopback addresses a generation, all on one free port.

    It keeps the failing hook's delivery ids and nothing else of a request, so that a million
    requests cost no memory here.
    """

    def __init__(self) -> None:
        self.answered = 0
        """Requests answered with 2xx."""
        self.healthy = 0
        """Those of them that were for hooks whose attempts never fail."""
        self._failed: set[bytes] = set()
        self._port = 0
        self._servers = AsyncExitStack()
        self._connections: set[asyncio.Transport] = set()

    async def origins(self, generation: int) -> list[str]:
        """Open the addresses of a generation, from 0 to 250, and name them as origins."""
        addresses = [f"127.1.{generation}.{number + 1}" for number in range(_ADDRESSES)]
        loop = asyncio.get_running_loop()
        for address in addresses:
            server = await loop.create_server(lambda: _Connection(self), address, self._port)
            self._port = server.sockets[0].getsockname()[1]
            await self._servers.enter_async_context(server)
        return [f"http://{address}:{self._port}" for address in addresses]

    def answer(self, head: bytes) -> bytes:
        """The response to one request, by its path (`/h/<hook>`) and its `webhook-id`."""
        path = head.split(b" ", 2)[1]
        if path == b"/h/h%d" % DOWN:
            return _UNAVAILABLE
        if path == b"/h/h%d" % FAILING:
            delivery = head.partition(b"webhook-id: ")[2].partition(b"\r\n")[0]
            if not crc32(delivery) % _FAILS_ONE_IN and delivery not in self._failed:
                self._failed.add(delivery)
                return _UNAVAILABLE
            self._failed.discard(delivery)
        else:
            self.healthy += 1
        self.answered += 1
        return _OK

    async def close(self) -> None:
        """End all connections and servers."""
        for transport in self._connections:
            transport.abort()
        await self._servers.aclose()


class _Connection(asyncio.Protocol):
    """One keep-alive connection; requests are GETs without a body."""

    def __init__(self, receiver: LoadReceiver) -> None:
        self._receiver = receiver
        self._buffer = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._receiver._connections.add(transport)

    def data_received(self, data: bytes) -> None:
        *heads, self._buffer = (self._buffer + data).split(b"\r\n\r\n")
        for head in heads:
            self._transport.write(self._receiver.answer(head))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # the protocol's
        self._receiver._connections.discard(self._transport)


def definitions(origins: Sequence[str], *, down: bool) -> list[dict[str, Any]]:
    """The hooks, each for the events of its own key, spread over `origins`; the failing one and
    the one that is down have a host of their own, so that no circuit is another's.
    """
    own, rest = origins[:2], origins[2:]
    hooks = [
        hook(f"h{number}", own[number] if number < len(own) else rest[number % len(rest)])
        for number in range(HOOKS)
        if down or number != DOWN
    ]
    return [{**definition, "select": [f"k{definition['id'][1:]}"]} for definition in hooks]


class Writer:
    """Writes numbered events of one trigger to the workspace's topic."""

    def __init__(self, producer: Any, workspace: Workspace, failing_one_in: int) -> None:
        """`producer`: a connected one (`Cluster.producer`). `failing_one_in`: of so many events,
        one is for the hook that fails first.
        """
        self.written = 0
        self.healthy = 0
        """Of the written events those for hooks whose attempts never fail."""
        self._failing_one_in = failing_one_in
        self._topic = workspace.topic("event")
        self._producer = producer

    async def burst(self, number: int) -> None:
        """Write `number` events for the hook that is down; they are not counted in `written`."""
        for first in range(0, number, 1_000):
            await self._send([event(f"d{first + n}", key=f"k{DOWN}") for n in range(1_000)])

    async def write_until(self, over: asyncio.Event, per_second: int) -> None:
        """Write this many events a second, fewer if the machine cannot."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while not over.is_set():
            numbers = range(self.written, self.written + per_second // _BATCHES_PER_SECOND)
            await self._send([event(f"e{number}", key=self._key(number)) for number in numbers])
            self.written = numbers.stop
            self.healthy += sum(number % self._failing_one_in != 0 for number in numbers)
            due = max(due + 1 / _BATCHES_PER_SECOND, loop.time() - 1)
            await asyncio.sleep(due - loop.time())

    def _key(self, number: int) -> str:
        if number % self._failing_one_in == 0:
            return f"k{FAILING}"
        return f"k{2 + number % (HOOKS - 2)}"

    async def _send(self, values: Sequence[bytes]) -> None:
        sent = [await self._producer.send(self._topic, value) for value in values]
        await asyncio.gather(*sent)
