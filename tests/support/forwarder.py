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
    """A bootstrap name as of a load balancer: `target` may change under its clients.

    Without a target it accepts connections and answers nothing.
    """

    def __init__(self, target: str | None = None, port: int = 0, host: str = HOST) -> None:
        """`target`: `host:port`. `port`: where it listens; 0 for any."""
        self._host = host
        self.target = target
        self.silent = False
        """Whether it keeps back what the target answers, on connections that are there too."""
        self.connections = 0
        """Accepted so far."""
        self._port = port or free_port()
        self._moving = asyncio.Event()
        self._moving.set()
        self._server: asyncio.Server
        self._serving: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        """`host:port` where it listens."""
        return f"{self._host}:{self._port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, self._host, self._port)
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
        """End every open connection."""
        for task in self._serving:
            task.cancel()

    def stall(self) -> None:
        """Move no byte of the open connections any more, without closing them: they are dead, as
        behind a firewall that has forgotten them. New ones work.
        """
        self._moving.clear()
        self._moving = asyncio.Event()
        self._moving.set()

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
        moving = self._moving
        host, _, port = self.target.rpartition(":")
        there, back = await asyncio.open_connection(host, int(port))
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._copy(reader, back, moving))
                group.create_task(self._copy(there, writer, moving))
        finally:
            back.close()

    async def _copy(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, moving: asyncio.Event
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(_CHUNK):
                await moving.wait()  # that of a stalled connection is never set again
                if not self.silent:
                    writer.write(data)
                    await writer.drain()
        writer.close()


class DropsSyns:
    """A port at which a connection is neither accepted nor refused: its backlog is full."""

    def __init__(self, host: str = HOST, port: int = 0) -> None:
        self._host = host
        self._port = port
        self._stack = AsyncExitStack()
        self.address = ""
        """`host:port`, once entered."""

    async def __aenter__(self) -> Self:
        listener = self._stack.enter_context(socket.socket())
        listener.bind((self._host, self._port))
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
