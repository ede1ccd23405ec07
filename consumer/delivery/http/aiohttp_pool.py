"""aiohttp's connections: making, keeping and guarding them."""

import asyncio
import socket
import ssl
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler

from consumer.delivery.egress.guard import DialGuard, EgressPolicy
from consumer.delivery.http.resolver import Addresses, Resolver
from consumer.delivery.http.sockets import open_socket
from consumer.delivery.http.transport import CONNECTION_LIFETIME_SECONDS

if TYPE_CHECKING:
    from aiohttp.tracing import Trace


_HEADER_BLOCK_END = b"\r\n\r\n"

_MAX_HEADER_BLOCKS = 4
"""Header blocks that are looked for in one read; interim blocks may precede the final one."""


class Dial:
    """The connection state of one attempt."""

    __slots__ = ("connected", "guard", "host", "kept_since", "origin")

    def __init__(self, policy: EgressPolicy, origin: str) -> None:
        self.guard = DialGuard(policy, origin)
        self.origin = origin
        self.host = _host(origin)
        """The host as it is looked up."""
        self.connected = False
        """Whether the attempt has a connection."""
        self.kept_since: float | None = None
        """The loop's time at which the connection was made, if an earlier attempt used it."""


DIAL: ContextVar[Dial] = ContextVar("DIAL")
"""The `Dial` of the running attempt; the tasks in which aiohttp dials inherit its context."""


class Pool:
    """The connections made by one policy with the same authorities (`tls`), and their attempts.

    A change of either begins a new pool, so that no request goes over a connection that it forbids.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, policy: EgressPolicy, tls: ssl.SSLContext
    ) -> None:
        self.policy = policy
        self.attempts: set[asyncio.Task[object]] = set()
        self.names = _Names(loop)
        self._connector = _Connector(loop, self.names, tls)
        self.session = aiohttp.ClientSession(
            connector=self._connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept-Encoding"),
            middlewares=(_once,),
        )

    def learn(self, dial: Dial, *, timed_out: bool) -> bool:
        """Give up doubtful names and connections. Returns `AttemptResult.gave_up_connections`."""
        doubt, guard = self.names.resolver.doubt, dial.guard
        gave_up = False
        if guard.refusal is not None:
            if guard.refused_by_lookup:
                doubt(dial.host, usable=False)
        elif not dial.connected:
            doubt(dial.host, usable=True)
        elif timed_out and dial.kept_since is not None:
            gave_up = self._connector.renew(dial.origin, dial.kept_since)
            doubt(dial.host, usable=True)  # it may have moved
        return gave_up

    async def end(self) -> None:
        """Close with the last attempt."""
        if self.attempts:
            await asyncio.wait(self.attempts)
        await self.session.close()


class _Connector(aiohttp.TCPConnector):
    """Keeps connections within their lifetime. When an attempt on a kept connection times out, all
    connections to its origin that were made before are given up, since they may be dead too.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, names: "_Names", tls: ssl.SSLContext
    ) -> None:
        super().__init__(
            ssl=tls, limit=0, resolver=names, use_dns_cache=False, socket_factory=_socket
        )
        # The attribute's type is invariant: aiohttp did not mean it for subclasses.
        self._factory = cast("partial[ResponseHandler]", partial(_Handler, loop=loop))
        self._clock = loop.time
        self._made: WeakKeyDictionary[ResponseHandler, float] = WeakKeyDictionary()
        self._renewed: dict[str, float] = {}
        """By origin, the loop's time: connections made before it are not used any more."""

    def renew(self, origin: str, made: float) -> bool:
        """Give up the connections to `origin` made until now. False if the connection made at
        `made` was given up already, with others.
        """
        if made < self._renewed.get(origin, made):
            return False
        self._renewed[origin] = self._clock()
        return True

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list["Trace"],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109  # aiohttp's own name
    ) -> aiohttp.connector.Connection:
        """A kept connection that may be used, or a new one."""
        dial = DIAL.get()
        while True:
            connection = await super().connect(req, traces, timeout)
            protocol = connection.protocol
            assert protocol is not None  # noqa: S101  # it is not released yet
            now = self._clock()
            made = self._made.get(protocol)
            if made is None:
                self._made[protocol] = now
                break
            oldest = max(self._renewed.get(dial.origin, made), now - CONNECTION_LIFETIME_SECONDS)
            if made >= oldest:
                dial.kept_since = made
                break
            connection.close()
        dial.connected = True
        return connection


class _Handler(ResponseHandler):
    """aiohttp's protocol, with header blocks parsed apart from what follows: otherwise an error in
    the first bytes of a body would lose the header block that arrived with them.
    """

    def data_received(self, data: bytes) -> None:
        """Give the parser each header block, and what follows it, in a call of its own."""
        for _ in range(_MAX_HEADER_BLOCKS):
            head, end, rest = data.partition(_HEADER_BLOCK_END)
            if not rest:
                break
            super().data_received(head + end)
            data = rest
        super().data_received(data)
        error, body = self.exception(), self._payload
        if error is not None and body is not None and not body.is_eof():
            # aiohttp closes the connection, and would let the body's reader wait for the time-out.
            body.set_exception(error)


class _Names(AbstractResolver):
    """`Resolver` behind aiohttp's interface."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.resolver = Resolver(loop)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Addresses of both families; `family` is ignored. Raises OSError if there is none."""
        del family
        DIAL.get().host = host
        addresses = self.resolver.cached(host) or await self._ask(host)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Do nothing: nothing is kept open."""

    async def _ask(self, host: str) -> Addresses:
        answer: asyncio.Future[Addresses] = self._loop.create_future()

        def found(addresses: Addresses, problem: str) -> None:
            if answer.done():  # the attempt's time is over
                return
            if addresses:
                answer.set_result(addresses)
            else:
                answer.set_exception(OSError(None, problem))

        self.resolver.resolve(host, found)
        return await answer


def _host(origin: str) -> str:
    try:
        return urlsplit(origin).hostname or ""
    except ValueError:
        return ""


def _socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """A socket, which aiohttp connects to `address` only. If it raises, aiohttp tries the host's
    next address.
    """
    family, kind, protocol, _, name = address
    if not DIAL.get().guard.allow_dial(str(name[0]), int(name[1])):
        raise _RefusedError
    return open_socket(family, kind, protocol)


class _RefusedError(OSError):
    """The guard refused one address."""


class NoResponseError(aiohttp.ClientError):
    """The connection ended before a response began."""


async def _once(
    request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Middleware against aiohttp's own retries, by which a receiver in trouble would see every
    attempt twice.
    """
    try:
        return await send(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise NoResponseError from error
