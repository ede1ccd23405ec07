"""Addresses that lead to a broker, or nowhere: a TCP forwarder, and servers that never answer."""

import asyncio
import socket
from contextlib import AsyncExitStack, suppress
from types import TracebackType
from typing import Self

from support.broker import HOST, free_port

_CHUNK = 64 * 1024
_FILLERS = 8
"""Connections that fill a backlog of zero several times over."""


class Forwarder:
    """A bootstrap name, as a load balancer has one: `target` may change under its clients.

    Without a target it accepts connections and answers nothing.
    """

    def __init__(self, target: str | None = None, port: int = 0) -> None:
        """`target`: `host:port`. `port`: where it listens; 0 for any."""
        self.target = target
        self.connections = 0
        """Accepted so far."""
        self._port = port or free_port()
        self._server: asyncio.Server
        self._serving: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        """`host:port` where it listens."""
        return f"{HOST}:{self._port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, HOST, self._port)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        self.cut()
        await asyncio.gather(*self._serving, return_exceptions=True)

    def cut(self) -> None:
        """End every connection there is."""
        for task in self._serving:
            task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.connections += 1
        self._serving.add(task)
        try:
            with suppress(OSError, asyncio.CancelledError):
                await self._forward(reader, writer)
        finally:
            writer.close()
            self._serving.discard(task)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.target is None:
            await reader.read()  # until the client gives up
            return
        host, _, port = self.target.rpartition(":")
        there, back = await asyncio.open_connection(host, int(port))
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_copy(reader, back))
                group.create_task(_copy(there, writer))
        finally:
            back.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    writer.close()


class DropsSyns:
    """A port at which no connection comes about and none is refused: its backlog is full."""

    def __init__(self) -> None:
        self._stack = AsyncExitStack()
        self.address = ""
        """`host:port`, once entered."""

    async def __aenter__(self) -> Self:
        listener = self._stack.enter_context(socket.socket())
        listener.bind((HOST, 0))
        listener.listen(0)
        host, port = listener.getsockname()
        for _ in range(_FILLERS):
            filler = self._stack.enter_context(socket.socket())
            filler.setblocking(False)  # the standard library's own signature
            with suppress(BlockingIOError):
                filler.connect((host, port))
        self.address = f"{host}:{port}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()
