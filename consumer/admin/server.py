"""The admin server's HTTP, by aiohttp.

Its answers are not secret and it changes nothing, so it requires no token; `admin.token` is
reserved for endpoints that do more.

Slow clients are harmless: a connection without a complete request, or whose answer is not read,
ends after the idle time; above `MAX_CONNECTIONS` the oldest is closed.
"""

import asyncio
import gzip
from collections.abc import Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from socket import socket

import orjson
from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder, gzip_accepted
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from consumer.admin.probes import ProbeResult
from consumer.logs import get_logger

log = get_logger(__name__)

MAX_CONNECTIONS = 64
"""Each is a file descriptor that deliveries could need."""
LINGER_SECONDS = 1.0
"""How long the rest of an answered request is read and dropped."""
SHUTDOWN_TIMEOUT_SECONDS = 1.0
"""For answers in progress when the server stops."""


class Server:
    """Answers `/healthz`, `/readyz` and `/metrics` between `start` and `close`.

    Args:
        registry: metrics of `/metrics`.
        probes: by path; called for each request.
        idle: see `Admin`.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        probes: Mapping[str, Callable[[], ProbeResult]],
        idle: float,
    ) -> None:
        self._registry = registry
        self._probes = probes
        self._idle = idle
        server = _Server(
            self._handle, keepalive_timeout=idle, lingering_time=LINGER_SECONDS, access_log=None
        )
        self._runner = web.ServerRunner(server, shutdown_timeout=SHUTDOWN_TIMEOUT_SECONDS)

    async def start(self, listeners: Sequence[socket]) -> None:
        """Accept connections of bound sockets, those that wait first."""
        await self._runner.setup()
        for listener in listeners:
            await web.SockSite(self._runner, listener).start()

    async def close(self) -> None:
        """Close every connection and the sockets; answers in progress have
        `SHUTDOWN_TIMEOUT_SECONDS`.
        """
        await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        response = await self._answer(request)
        try:
            async with asyncio.timeout(self._idle):
                await response.prepare(request)
                await response.write_eof()
        except TimeoutError:
            # An orderly close would wait for the same reader.
            if request.transport is not None:
                request.transport.abort()
        except ConnectionError:
            pass  # the client left, or its connection was closed
        return response

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        probe = self._probes.get(request.path)
        if probe is None and request.path != "/metrics":
            return _failure(HTTPStatus.NOT_FOUND)
        if request.method not in {"GET", "HEAD"}:
            return _failure(HTTPStatus.METHOD_NOT_ALLOWED, {"Allow": "GET, HEAD"})
        if probe is not None:
            ok, reason = probe()
            status = HTTPStatus.OK if ok else HTTPStatus.SERVICE_UNAVAILABLE
            return _json(status, {"ok": ok, "reason": reason})
        return await self._metrics(request)

    async def _metrics(self, request: web.BaseRequest) -> web.Response:
        accept = ",".join(request.headers.getall("Accept", ()))
        compress = gzip_accepted(",".join(request.headers.getall("Accept-Encoding", ())))
        snapshot = _Snapshot(self._registry.collect())
        # In a thread: the text of a thousand busy hooks is 3.7 MB and takes half a second.
        body, kind = await asyncio.to_thread(_expose, snapshot, accept, compress=compress)
        headers = {"Content-Type": kind, "Vary": "Accept, Accept-Encoding"}
        if compress:
            headers["Content-Encoding"] = "gzip"
        return _response(HTTPStatus.OK, body, headers)


class _Snapshot(Collector):
    """Metric families collected on the event loop's thread, to be encoded in another."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterable[Metric]:
        return self._families


def _expose(snapshot: _Snapshot, accept: str, *, compress: bool) -> tuple[bytes, str]:
    """Encode in the client's preferred format; return the body and its content type."""
    try:
        encode, kind = choose_encoder(accept)
    except TypeError:
        # prometheus_client fails on a version whose parts are not numbers.
        encode, kind = choose_encoder("")
    body = encode(snapshot)
    return (gzip.compress(body, compresslevel=3) if compress else body), kind


class _Server(web.Server):
    """aiohttp's server with `_Connection`, and at most `MAX_CONNECTIONS`."""

    def __call__(self) -> web.RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Close the oldest connection above the limit, so that a probe is always accepted."""
        super().connection_made(handler, transport)
        there = [one for one in self._connections.values() if not one.is_closing()]
        if len(there) > MAX_CONNECTIONS:
            there[0].abort()


class _Connection(web.RequestHandler):
    """A connection whose error answers do not reveal aiohttp's name and version."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer a request that is not HTTP (a scanner, not logged) or that met a bug."""
        del request, message
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            log.error("admin request failed", cause=exc)
        response = _failure(HTTPStatus(status))
        response.force_close()
        return response


def _failure(status: HTTPStatus, headers: Mapping[str, str] | None = None) -> web.Response:
    return _json(status, {"error": status.phrase}, headers)


def _json(
    status: HTTPStatus, document: object, headers: Mapping[str, str] | None = None
) -> web.Response:
    own = {"Content-Type": "application/json", **(headers or {})}
    return _response(status, orjson.dumps(document), own)


def _response(status: HTTPStatus, body: bytes, headers: Mapping[str, str]) -> web.Response:
    return web.Response(status=status, body=body, headers={"Server": "hookstream", **headers})
