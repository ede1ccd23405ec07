"""A receiver that speaks HTTP/2 and nothing else."""

import asyncio
import ssl
from types import TracebackType
from typing import Self, cast

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived

Fields = list[tuple[bytes, bytes]]


class Http2Receiver:
    """A server on a free port of 127.0.0.1 that answers every request with 204."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self.requests: list[Fields] = []
        """Header fields with the pseudo ones, in the order they came."""
        self.connections = 0
        self._tls = tls
        tls.set_alpn_protocols(["h2"])
        self._server: asyncio.Server | None = None
        self._transports: set[asyncio.Transport] = set()

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
                self._receiver.requests.append(cast("Fields", list(event.headers)))
                self._http2.send_headers(event.stream_id, [(":status", "204")], end_stream=True)
        self._transport.write(self._http2.data_to_send())

    def connection_lost(self, _error: Exception | None) -> None:
        self._receiver._transports.discard(self._transport)
