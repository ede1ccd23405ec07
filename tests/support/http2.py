"""A receiver that speaks HTTP/2 and nothing else."""

import asyncio
import ssl
from collections import deque
from collections.abc import Iterable
from enum import Enum, auto
from types import TracebackType
from typing import Self, cast

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived

Fields = list[tuple[bytes, bytes]]


class Stream(Enum):
    """The fate of a stream after an answer that does not end it."""

    RESET = auto()
    """RST_STREAM."""
    GO_AWAY = auto()
    """GOAWAY, which counts this stream among those that were not handled, and the end."""
    CLOSE = auto()
    """The connection ends without a word."""
    HANG = auto()


class Http2Receiver:
    """A server on a free port of 127.0.0.1 that answers every request with 204, but `/hang` never.

    Replies that were added are played first.
    """

    def __init__(self, tls: ssl.SSLContext) -> None:
        self.requests: list[Fields] = []
        """Header fields with the pseudo ones, in the order they came."""
        self.connections = 0
        self._tls = tls
        tls.set_alpn_protocols(["h2"])
        self._server: asyncio.Server | None = None
        self._transports: set[asyncio.Transport] = set()
        self._replies: deque[tuple[Stream, bytes]] = deque()

    def then_play(self, replies: Iterable[tuple[Stream, bytes]]) -> None:
        """Add answers with status 200, a part of a body, and a fate of the stream."""
        self._replies.extend(replies)

    @property
    def origin(self) -> str:
        """`https://host:port`."""
        assert self._server is not None
        return f"https://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Connection(self), "127.0.0.1", 0, ssl=self._tls, ssl_shutdown_timeout=0.1
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
        for transport in tuple(self._transports):
            transport.abort()
        await self._server.wait_closed()


class _Connection(asyncio.Protocol):
    def __init__(self, receiver: Http2Receiver) -> None:
        self._receiver = receiver
        self._http2 = H2Connection(H2Configuration(client_side=False, header_encoding=None))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._receiver.connections += 1
        self._receiver._transports.add(self._transport)
        self._http2.initiate_connection()
        self._transport.write(self._http2.data_to_send())

    def data_received(self, data: bytes) -> None:
        for event in self._http2.receive_data(data):
            if isinstance(event, RequestReceived):
                self._answer(event.stream_id, cast("Fields", list(event.headers)))
        self._transport.write(self._http2.data_to_send())

    def _answer(self, stream: int, fields: Fields) -> None:
        self._receiver.requests.append(fields)
        if self._receiver._replies:
            end, body = self._receiver._replies.popleft()
            self._http2.send_headers(stream, [(":status", "200")])
            if body:
                self._http2.send_data(stream, body)
            self._transport.write(self._http2.data_to_send())
            self._end(stream, end)
        elif (b":path", b"/hang") not in fields:
            self._http2.send_headers(stream, [(":status", "204")], end_stream=True)

    def _end(self, stream: int, end: Stream) -> None:
        match end:
            case Stream.RESET:
                self._http2.reset_stream(stream)
            case Stream.GO_AWAY:
                self._http2.close_connection(last_stream_id=0)
                self._transport.write(self._http2.data_to_send())
                self._transport.close()
            case Stream.CLOSE:
                self._transport.abort()
            case Stream.HANG:
                pass

    def connection_lost(self, _error: Exception | None) -> None:
        self._receiver._transports.discard(self._transport)
