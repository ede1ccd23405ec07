"""A webhook receiver that plays scripts over real sockets and keeps the bytes of each request."""

import asyncio
import socket
import ssl
import struct
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from enum import Enum, auto
from types import TracebackType
from typing import Any, ClassVar, Protocol, Self

_HEAD_LIMIT = 64 * 1024
_DRIP_SECONDS = 0.02
_GOODBYE_SECONDS = 0.1
"""How long a client with an idle connection may take to answer TLS's close_notify."""
_PATIENCE = 10.0
"""Seconds that a test waits for something that is sure to come."""


class Then(Enum):
    """The receiver's next step when a reply's bytes are sent."""

    KEEP = auto()
    """Wait for the next request on the connection."""
    CLOSE = auto()
    ABORT = auto()
    """Close without TLS's close_notify."""
    RESET = auto()
    """Close with a RST."""
    HANG = auto()
    """Say nothing more until the client leaves."""
    DRIP = auto()
    """Send one byte after the other until the client leaves."""


class Waited(Protocol):
    """An `asyncio.Event`, or an object like it."""

    def wait(self) -> Coroutine[Any, Any, object]:
        """Return when the event has come."""
        ...


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to one request: bytes as they are, and what follows them."""

    data: bytes = b""
    then: Then = Then.KEEP
    after: Waited | None = None
    """What the answer waits for; given up if the client leaves before."""


@dataclass(slots=True)
class Exchange:
    """One request and the bytes of its answer that were sent."""

    head: bytes
    answer: bytes = b""
    answered_at: float | None = None
    """Epoch seconds; None: no byte of an answer was sent."""


def response(status: int = 200, *headers: str, body: bytes = b"", then: Then = Then.KEEP) -> Reply:
    """A well-formed HTTP/1.1 response with a `Content-Length`."""
    lines = [f"HTTP/1.1 {status} Whatever", *headers]
    if status != 204:  # RFC 9110 section 8.6: no length in a 204
        lines.append(f"Content-Length: {len(body)}")
    return Reply("\r\n".join([*lines, "", ""]).encode("latin-1") + body, then)


class Receiver:
    """A server on `port`, or on a free one.

    Replies are played in order; when none is left, `otherwise` decides by the request's head.
    """

    watch: ClassVar[Callable[[Exchange], object]] = staticmethod(lambda _exchange: None)
    """Is given each request as it comes, of all receivers."""

    def __init__(
        self,
        *replies: Reply,
        otherwise: Callable[[bytes], Reply] = lambda _head: response(),
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.requests: list[bytes] = []
        """Heads as they came, with the empty line."""
        self.connections = 0
        self.left = 0
        """Connections that have ended."""
        self._replies = deque(replies)
        self._otherwise = otherwise
        self._host = host
        self._port = port
        self._tls = tls
        self._changed = asyncio.Condition()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def authority(self) -> str:
        """`host:port` as in a URL."""
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        return f"[{self._host}]:{port}" if ":" in self._host else f"{self._host}:{port}"

    @property
    def origin(self) -> str:
        """`scheme://host:port`."""
        return f"{'https' if self._tls else 'http'}://{self.authority}"

    def then_play(self, replies: Iterable[Reply]) -> None:
        """Add replies behind those that are left."""
        self._replies.extend(replies)

    async def until(self, *, requests: int = 0, left: int = 0) -> None:
        """Wait until this many requests have come and this many connections have ended."""
        async with asyncio.timeout(_PATIENCE), self._changed:
            await self._changed.wait_for(
                lambda: len(self.requests) >= requests and self.left >= left
            )

    async def __aenter__(self) -> Self:
        patience = {"ssl_shutdown_timeout": _GOODBYE_SECONDS} if self._tls else {}
        self._server = await asyncio.start_server(
            self._serve,
            self._host,
            self._port,
            ssl=self._tls,
            limit=_HEAD_LIMIT,
            backlog=512,
            **patience,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        async with asyncio.timeout(_PATIENCE), self._changed:
            await self._changed.wait_for(lambda: not self._writers)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        self.connections += 1
        try:
            while await self._play(reader, writer):
                pass
            writer.close()
            await writer.wait_closed()
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client left
        finally:
            writer.transport.abort()
            self._writers.discard(writer)
            self.left += 1
            await self._tell()

    async def _play(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Play one reply to one request; whether the connection goes on."""
        head = await reader.readuntil(b"\r\n\r\n")
        self.requests.append(head)
        exchange = Exchange(head)
        Receiver.watch(exchange)
        await self._tell()
        reply = self._replies.popleft() if self._replies else self._otherwise(head)
        if reply.after is not None:
            await _wait(reader, reply.after.wait())
        if reply.data:
            exchange.answer, exchange.answered_at = reply.data, time.time()
        writer.write(reply.data)
        await writer.drain()
        match reply.then:
            case Then.ABORT:
                writer.transport.abort()
            case Then.RESET:
                _reset(writer)
            case Then.HANG:
                await reader.read()
            case Then.DRIP:
                await _drip(reader, writer)
        return reply.then is Then.KEEP

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with a RST, as a linger time of zero does (RFC 9293 section 3.9.1)."""
    raw: socket.socket = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _wait(reader: asyncio.StreamReader, until: Coroutine[Any, Any, object]) -> None:
    """Run `until`. Raises `ConnectionError` if the client leaves before it ends."""
    ended, left = asyncio.ensure_future(until), asyncio.ensure_future(reader.read(1))
    await asyncio.wait({ended, left}, return_when=asyncio.FIRST_COMPLETED)
    for task in (ended, left):
        task.cancel()
    await asyncio.wait({ended, left})
    if ended.cancelled():
        raise ConnectionError


async def _drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    left = asyncio.ensure_future(reader.read())
    while not left.done():
        writer.write(b"x")
        await asyncio.wait({left}, timeout=_DRIP_SECONDS)
    await left
