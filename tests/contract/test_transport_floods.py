"""Receivers that send without end, as fast as they are read: HTTP/1.1 to both adapters, HTTP/2."""

import asyncio
import resource
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

import pytest
import trustme

from consumer.delivery.http.curl import CurlTransport
from consumer.delivery.http.transport import Transport
from consumer.reasons import ErrorKind
from support.attempts import LOOPBACK, Attempt, answer_of, get, trusting
from support.receiver import Receiver
from support.tls import server_context

_TIMEOUT = 1.0
_LONG = 14.0
"""Seconds in which a bound is reached on a slow machine, too."""
_MEMORY = 64 * 1024
"""KiB: what attempts may add to the process's peak, each in turn."""


class Flood(NamedTuple):
    """What a receiver says to a request."""

    head: bytes
    endless: bytes = b""
    """Said again and again until the client leaves; nothing: wait for that."""


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame of HTTP/2 (RFC 9113 section 4.1)."""
    return struct.pack("!I", len(payload))[1:] + struct.pack("!BBI", kind, flags, stream) + payload


OK, CHUNKED = b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
HTTP1 = {
    "100 without end": Flood(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
    "103 without end": Flood(b"", b"HTTP/1.1 103 Hints\r\nLink: </x>\r\n\r\n" * 100),
    "a status line without end": Flood(b"HTTP/1.1 200 ", b"a" * 9_000),
    "empty lines": Flood(b"", b"\r\n" * 5_000),
    "headers": Flood(OK, b"X-A: b\r\n" * 1_000),
    "one header": Flood(OK + b"X-A: ", b"b" * 9_000),
    "a folded header": Flood(OK + b"X-A: b\r\n", b" b\r\n" * 2_000),
    "a chunk's extension": Flood(CHUNKED + b"1;", b"a" * 9_000),
    "a chunk's size": Flood(CHUNKED, b"0" * 9_000),
    "chunks of one byte": Flood(CHUNKED, b"1\r\na\r\n" * 1_000),
    "trailers": Flood(CHUNKED + b"0\r\n", b"X-A: b\r\n" * 1_000),
    "a trailer": Flood(CHUNKED + b"0\r\nX-A: ", b"b" * 9_000),
    "a body": Flood(OK + b"\r\n", b"a" * 9_000),
}
# Frames: 0 DATA, 1 HEADERS, 2 PRIORITY, 3 RST_STREAM, 4 SETTINGS, 5 PUSH_PROMISE, 6 PING,
# 7 GOAWAY, 8 WINDOW_UPDATE, 9 CONTINUATION. HPACK: \x88 is `:status: 200`, \x08 names it.
HEADERS = frame(1, 0x4, 1, b"\x88")
HTTP2 = {
    "pings": Flood(b"", frame(6, 0, 0, b"12345678") * 500),
    "settings": Flood(b"", frame(4, 0, 0) * 500),
    "priorities": Flood(b"", frame(2, 0, 1, b"\0\0\0\0\x10") * 500),
    "windows": Flood(b"", frame(8, 0, 0, b"\0\0\0\x01") * 500),
    "103 without end": Flood(b"", frame(1, 0x4, 1, b"\x08\x03103") * 500),
    "continuations": Flood(frame(1, 0, 1, b"\x88"), frame(9, 0, 1, b"\0\x01x\x01y" * 100)),
    "trailers": Flood(HEADERS, frame(1, 0x4, 1, b"\0\x01x\x01y") * 500),
    "empty data": Flood(HEADERS, frame(0, 0, 1) * 500),
    "a body": Flood(HEADERS, frame(0, 0, 1, b"a" * 9_000)),
    "a stream that was not asked for": Flood(frame(5, 0x4, 1, b"\0\0\0\x02\x82\x84\x87")),
    "no stream allowed": Flood(frame(4, 0, 0, b"\0\x03\0\0\0\0")),
    "goes away": Flood(frame(7, 0, 0, struct.pack("!II", 0, 0))),
    "refuses the stream": Flood(frame(3, 0, 1, b"\0\0\0\x07")),
    "resets the stream": Flood(frame(3, 0, 1, b"\0\0\0\x02")),
    "bytes that are no frame": Flood(b"\xff" * 9_000),
}


class Flooder:
    """A server; `connections` were made to it so far."""

    def __init__(self, flood: Flood, greeting: bytes, end: bytes) -> None:
        self.connections = 0
        self.port = 0
        self._flood = flood
        self._greeting = greeting
        self._end = end

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Greet, take one request, which ends in `end`, and answer it."""
        self.connections += 1
        with suppress(OSError, asyncio.IncompleteReadError):
            writer.write(self._greeting)
            await reader.readuntil(self._end)
            writer.write(self._flood.head)
            while self._flood.endless and not reader.at_eof():
                writer.write(self._flood.endless)
                await writer.drain()
                await asyncio.sleep(0)  # `drain` waits only where it must
            await reader.read()
        writer.transport.abort()


@asynccontextmanager
async def flooding(flood: Flood, tls: ssl.SSLContext | None = None) -> AsyncIterator[Flooder]:
    """Over HTTP/2 where there is TLS."""
    http2 = frame(4, 0, 0), b"\x01\x05\0\0\0\x01"  # SETTINGS; a HEADERS frame's type, flags, stream
    flooder = Flooder(flood, *(http2 if tls else (b"", b"\r\n\r\n")))
    async with await asyncio.start_server(flooder.serve, "127.0.0.1", 0, ssl=tls) as server:
        flooder.port = server.sockets[0].getsockname()[1]
        yield flooder


async def outcome(transport: Transport, url: str, limit: float) -> str:
    """Of an attempt to `url`, beside which another receiver is well served and little is kept."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    attempt = Attempt(transport, get(url, timeout=limit))
    async with Receiver() as other:
        for _ in range(3):
            assert (await answer_of(transport, get(other.origin + "/"))).status == 200
    answer = await attempt.answer()
    assert len(attempt.answers) == 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < _MEMORY
    return answer.error or str(answer.status)


@pytest.mark.parametrize("flood", HTTP1.values(), ids=HTTP1.keys())
async def test_floods(transport: Transport, flood: Flood) -> None:
    """An answer without end is cut at a bound or at the time-out, and counts by its status if its
    header block was complete.
    """
    body = flood in {HTTP1["a body"], HTTP1["chunks of one byte"]}
    async with flooding(flood) as flooder:
        url = f"http://127.0.0.1:{flooder.port}/"
        how = await outcome(transport, url, _LONG if body else _TIMEOUT)
        whole = b"\r\n\r\n" in flood.head
        assert how in ({"200"} if whole else {ErrorKind.CONNECT, ErrorKind.TIMEOUT})
        assert flooder.connections == 1


@pytest.mark.parametrize("flood", HTTP2.values(), ids=HTTP2.keys())
async def test_floods_over_http2(ca_file: str, authority: trustme.CA, flood: Flood) -> None:
    """An HTTP/2 answer without end is cut at a bound or at the time-out, and a receiver that
    refuses streams gets a handful of connections, not thousands.
    """
    tls = server_context(authority, "127.0.0.1")
    tls.set_alpn_protocols(["h2"])
    async with flooding(flood, tls) as flooder:
        transport = CurlTransport(asyncio.get_running_loop(), LOOPBACK, trusting(ca_file))
        try:
            body = flood is HTTP2["a body"]
            url = f"https://127.0.0.1:{flooder.port}/"
            how = await outcome(transport, url, _LONG if body else _TIMEOUT)
            whole = flood.head == HEADERS
            assert how in ({"200"} if whole else {ErrorKind.CONNECT, ErrorKind.TIMEOUT})
            assert 1 <= flooder.connections <= 6
        finally:
            await transport.close()  # the server waits for it, from Python 3.12 on
