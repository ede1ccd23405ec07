"""aiohttp's connections: which are made, which are kept, and where they may lead."""

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
from consumer.delivery.http.transport import CONNECTION_LIFETIME

if TYPE_CHECKING:
    from aiohttp.tracing import Trace


_HEAD_END = b"\r\n\r\n"

_BLOCKS = 4
"""Header blocks that are looked for in what came in at once; interim ones may precede the last."""


class Dial:
    """What an attempt has to do with connections."""

    __slots__ = ("connected", "guard", "host", "kept_since", "origin")

    def __init__(self, policy: EgressPolicy, origin: str) -> None:
        self.guard = DialGuard(policy, origin)
        self.origin = origin
        self.host = _host(origin)
        """As it is looked up."""
        self.connected = False
        """Whether it has one."""
        self.kept_since: float | None = None
        """The loop's time when that was made, if it has carried another attempt before."""


DIAL: ContextVar[Dial] = ContextVar("DIAL")
"""Of the attempt that runs; the tasks that aiohttp dials in are made within its context."""


class Pool:
    """The connections that were made by one policy with the same authorities (`tls`), and what goes
    on over them.

    A change of them begins a new pool, so that no request goes over a connection that they forbid.
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
        """Draw the consequences from a failed attempt: see `AttemptResult.gave_up_connections`."""
        doubt, gate = self.names.resolver.doubt, dial.guard
        gave_up = False
        if gate.refusal is not None:
            if gate.refused_by_lookup:
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
    """Keeps connections, but none beyond its lifetime, and none to an origin on which attempts
    time out: of those all that were made before go, since they are likely to be as dead.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, names: "_Names", tls: ssl.SSLContext
    ) -> None:
        super().__init__(
            ssl=tls, limit=0, resolver=names, use_dns_cache=False, socket_factory=_socket
        )
        # Invariant in its type, which aiohttp never meant for others.
        self._factory = cast("partial[ResponseHandler]", partial(_Handler, loop=loop))
        self._clock = loop.time
        self._made: WeakKeyDictionary[ResponseHandler, float] = WeakKeyDictionary()
        self._renewed: dict[str, float] = {}
        """By origin, the loop's time before which its connections were made that are not used."""

    def renew(self, origin: str, made: float) -> bool:
        """Use none of its connections again; but once, for all that were made together. False if
        that is done already.
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
        """A kept connection that may be used, else a new one."""
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
            oldest = max(self._renewed.get(dial.origin, made), now - CONNECTION_LIFETIME)
            if made >= oldest:
                dial.kept_since = made
                break
            connection.close()
        dial.connected = True
        return connection


class _Handler(ResponseHandler):
    """aiohttp's protocol, which gives its parser header blocks and what follows them apart: a fault
    in the first bytes of a body would cost the header block that came with them.
    """

    def data_received(self, data: bytes) -> None:
        """Take what has come in, in pieces."""
        for _ in range(_BLOCKS):
            head, end, rest = data.partition(_HEAD_END)
            if not rest:
                break
            super().data_received(head + end)
            data = rest
        super().data_received(data)


class _Names(AbstractResolver):
    """`Resolver` as aiohttp asks one."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.resolver = Resolver(loop)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Addresses of both families, whatever `family` says. Raises OSError: there is none."""
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
        """Nothing is kept open."""

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
    """A socket for one address. aiohttp connects it to that and no other; after an error it goes
    on with the next address of the host.
    """
    family, kind, protocol, _, name = address
    if not DIAL.get().guard.allow_dial(str(name[0]), int(name[1])):
        raise _RefusedError
    return open_socket(family, kind, protocol)


class _RefusedError(OSError):
    """The guard's no, to one address."""


class NoResponseError(aiohttp.ClientError):
    """The connection ended before a response began."""


async def _once(
    request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Middleware. aiohttp would send again on these errors, on a new connection too: a receiver in
    trouble would see every attempt twice.
    """
    try:
        return await send(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise NoResponseError from error
