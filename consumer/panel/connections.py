"""aiohttp's server with bounds on connections, and answers that do not name it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from consumer.logs import get_logger
from consumer.panel.problems import CONTENT_TYPE, Problem

log = get_logger(__name__)

MAX_CONNECTIONS: Final = 256
MAX_PEER_CONNECTIONS: Final = MAX_CONNECTIONS // 4
"""Of one address, or IPv6 network of 64 bits, that is no trusted proxy."""
IDLE_SECONDS: Final = 15.0
"""For a request's headers, for the next request, and for a part of an answer to be read."""
LINGER_SECONDS: Final = 1.0
"""How long the rest of an answered request is read and dropped."""
MAX_LINE_BYTES: Final = 8 * 1024
"""Of a request's first line, and of one header."""
MAX_HEADERS: Final = 64
SHUTDOWN_SECONDS: Final = 2.0
"""For answers in progress when the server stops."""

HEADERS: Final = {
    "Server": "hookstream",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Of every answer."""

Handle = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
PeerName = Callable[[str | None], str | None]
"""By what connections of a peer's address are counted; None: they are not bounded by themselves."""


def make_runner(
    handle: Handle, peer_name: PeerName, idle: float = IDLE_SECONDS
) -> web.ServerRunner:
    """The runner of a server that answers with `handle`; `idle`: see `IDLE_SECONDS`."""
    server = _Server(
        handle,
        peer_name,
        keepalive_timeout=idle,
        lingering_time=LINGER_SECONDS,
        access_log=None,
        auto_decompress=False,
        max_line_size=MAX_LINE_BYTES,
        max_field_size=MAX_LINE_BYTES,
        max_headers=MAX_HEADERS,
    )
    return web.ServerRunner(server, shutdown_timeout=SHUTDOWN_SECONDS)


def failure(problem: Problem) -> web.Response:
    """The answer of a problem."""
    headers = {**HEADERS, **problem.headers, "Content-Type": CONTENT_TYPE}
    return web.Response(status=int(problem.status), body=problem.body, headers=headers)


class _Server(web.Server):
    """A server with at most `MAX_CONNECTIONS`, and `MAX_PEER_CONNECTIONS` of one peer."""

    def __init__(self, handle: Handle, peer_name: PeerName, **options: Any) -> None:
        super().__init__(handle, **options)
        self._peer_name = peer_name

    def __call__(self) -> web.RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Close the oldest idle connection above a limit; the new one if all are in use."""
        super().connection_made(handler, transport)
        there = {one: its for one, its in self._connections.items() if not its.is_closing()}
        peer = self._peer(transport)
        if peer is not None:
            same = {one: its for one, its in there.items() if self._peer(its) == peer}
            if len(same) > MAX_PEER_CONNECTIONS:
                _close_one(same, handler)
                return
        if len(there) > MAX_CONNECTIONS:
            _close_one(there, handler)

    def _peer(self, transport: asyncio.Transport) -> str | None:
        name = transport.get_extra_info("peername")
        return self._peer_name(name[0] if name else None)


def _close_one(
    there: Mapping[web.RequestHandler, asyncio.Transport], new: web.RequestHandler
) -> None:
    idle = (its for one, its in there.items() if one is not new and not is_busy(one))
    next(idle, there[new]).abort()


class _Connection(web.RequestHandler):
    """A connection whose error answers do not reveal aiohttp's name and version."""

    __slots__ = ()

    async def start(self) -> None:
        """Answer requests, unless the connection was closed before its first one was waited for:
        before Python 3.12 aiohttp begins one loop iteration later, and then fails.
        """
        if self._manager is not None:
            await super().start()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer a request that is not HTTP (a scanner, not logged) or that met a bug."""
        del request, message
        found = HTTPStatus(status)
        if found >= HTTPStatus.INTERNAL_SERVER_ERROR:
            log.error("a request of the panel failed", cause=exc)
            response = failure(Problem(found, "bug", "this is a bug: the log says more"))
        else:
            response = failure(Problem(found, "http", "this is no request that can be read"))
        response.force_close()
        return response


def is_busy(connection: web.RequestHandler) -> bool:
    """Whether a request of the connection is being answered."""
    return connection._request_in_progress  # noqa: SLF001  # aiohttp tells it nowhere else
