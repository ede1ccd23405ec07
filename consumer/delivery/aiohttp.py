"""aiohttp as a transport: the second one, for where libcurl is not wanted.

One attempt is one request: a kept connection that dies as the request goes out is a connect error.
"""

import asyncio
import re
import socket
import ssl
from contextvars import ContextVar
from email.utils import mktime_tz, parsedate_tz
from typing import cast

import aiohttp
import yarl
from aiohttp.abc import AbstractResolver, ResolveResult

from consumer.clock import Clock
from consumer.delivery.guard import Gate, Policy
from consumer.delivery.resolver import Addresses, Resolver
from consumer.delivery.transport import (
    BODY_LIMIT,
    LEAST_FINAL,
    RETRY_AFTER_LIMIT,
    Answer,
    Done,
    Request,
    closed,
)
from consumer.reasons import ErrorKind

_ERRORS: tuple[tuple[type[Exception], ErrorKind], ...] = (
    (TimeoutError, ErrorKind.TIMEOUT),
    (aiohttp.ClientConnectorDNSError, ErrorKind.DNS),
    (aiohttp.ClientSSLError, ErrorKind.TLS),
)
"""Every other one is a connect error: refused, reset, empty, garbled, cut short."""

_LIFETIME = 300.0
"""Seconds after which new attempts go over new connections, so that a changed DNS answer is
followed."""

_SECONDS = re.compile(r"\s*(\d+)")


class AiohttpTransport:
    """One task per attempt. Made and used on the loop's thread, while the loop runs.

    `policy`: what may be dialled. `ca_file`: PEM file that replaces the system's certificate
    authorities. Raises OSError or ssl.SSLError where it cannot be used.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        policy: Policy,
        *,
        clock: Clock,
        ca_file: str | None = None,
    ) -> None:
        self._loop = loop
        self._clock = clock
        self._tls = ssl.create_default_context(cafile=ca_file)
        self._pool = _Pool(loop, policy, self._tls)
        self._pool_since = clock.monotonic()
        self._retired: set[asyncio.Task[None]] = set()
        self._under_way: dict[asyncio.Task[Answer], Done] = {}

    def send(self, request: Request, done: Done) -> None:
        """See `Transport.send`."""
        if self._pool.session.closed:
            self._loop.call_soon(done, closed())
            return
        if self._clock.monotonic() - self._pool_since > _LIFETIME:
            self._renew(self._pool.policy)
        task = self._loop.create_task(self._attempt(request, self._pool))
        self._pool.attempts.add(task)
        task.add_done_callback(self._pool.attempts.discard)
        self._under_way[task] = done
        task.add_done_callback(self._finish)

    def restrict(self, policy: Policy) -> None:
        """See `Transport.restrict`."""
        if policy != self._pool.policy and not self._pool.session.closed:
            self._renew(policy)

    async def failure(self) -> str:
        """See `Transport.failure`: every attempt fails by itself."""
        never: asyncio.Future[str] = self._loop.create_future()
        return await never

    def _renew(self, policy: Policy) -> None:
        """Go on with new connections only; the old ones close with the last attempt on them."""
        before = self._pool
        self._pool = _Pool(self._loop, policy, self._tls)
        self._pool_since = self._clock.monotonic()
        ending = self._loop.create_task(before.end())
        self._retired.add(ending)
        ending.add_done_callback(self._retired.discard)

    async def close(self) -> None:
        """See `Transport.close`. A second call does nothing."""
        closing = self._pool.session.close()
        tasks = list(self._under_way)
        for task in tasks:
            task.cancel()
        await closing
        await asyncio.gather(*tasks, *self._retired, return_exceptions=True)
        await asyncio.sleep(0)  # tasks call back a turn after their end, for which none may be left

    def _finish(self, task: asyncio.Task[Answer]) -> None:
        done = self._under_way.pop(task)
        # Cancelled only by `close`, and maybe before the coroutine's first line ran.
        done(closed() if task.cancelled() else task.result())

    async def _attempt(self, request: Request, pool: "_Pool") -> Answer:
        started = self._clock.monotonic()
        gate = Gate(pool.policy, request.origin)
        _GATE.set(gate)
        try:
            answer = await self._get(request, pool.session)
        except Exception as error:  # noqa: BLE001  # whatever a receiver can provoke is an answer
            if gate.refusal is not None:
                answer = Answer(
                    error=ErrorKind.BLOCKED,
                    detail=gate.refusal,
                    blocked_by_lookup=gate.refused_by_lookup,
                )
            else:
                answer = Answer(error=_kind(error), detail=_detail(error))
        answer.duration = self._clock.monotonic() - started
        return answer

    async def _get(self, request: Request, session: aiohttp.ClientSession) -> Answer:
        async with session.get(
            _url(request),
            headers=[_header(line) for line in request.headers],
            timeout=aiohttp.ClientTimeout(total=request.timeout, connect=request.connect_timeout),
            allow_redirects=False,
        ) as response:
            if response.status < LEAST_FINAL:
                return Answer(error=ErrorKind.CONNECT, detail="no final response")
            await _discard_body(response)
            wait = _retry_after(response.headers.get("Retry-After", ""), self._clock.now())
            return Answer(status=response.status, retry_after=wait)


class _Pool:
    """The connections that were made by one policy, within a lifetime, and what goes on over them.

    A changed policy begins a new pool, so that no request goes over a connection that it forbids.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, policy: Policy, tls: ssl.SSLContext
    ) -> None:
        self.policy = policy
        self.names = _Names(loop)
        self.attempts: set[asyncio.Task[Answer]] = set()
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                ssl=tls, limit=0, resolver=self.names, use_dns_cache=False, socket_factory=_socket
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept-Encoding"),
            middlewares=(_once,),
        )

    async def end(self) -> None:
        """Close with the last attempt."""
        if self.attempts:
            await asyncio.wait(self.attempts)
        await self.session.close()


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
        addresses = self.resolver.known(host) or await self._ask(host)
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

        self.resolver.ask(host, found)
        return await answer


_GATE: ContextVar[Gate] = ContextVar("_GATE")
"""Of the attempt that runs; the tasks that aiohttp dials in are made within its context."""


def _socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """A socket for one address. aiohttp connects it to that and no other; after an error it goes
    on with the next address of the host.
    """
    family, kind, protocol, _, name = address
    if not _GATE.get().admits(str(name[0]), int(name[1])):
        raise _RefusedError
    return socket.socket(family, kind, protocol)


class _RefusedError(OSError):
    """The guard's no, to one address."""


class _NoResponseError(aiohttp.ClientError):
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
        raise _NoResponseError from error


async def _discard_body(response: aiohttp.ClientResponse) -> None:
    """Read it, so that the connection can be used again; close on one that is too long."""
    left = BODY_LIMIT
    async for chunk in response.content.iter_any():
        left -= len(chunk)
        if left < 0:
            response.close()
            return


def _url(request: Request) -> yarl.URL:
    """The whole target as a path: parsed in parts, yarl would drop the `?` of an empty query."""
    scheme, _, authority = request.origin.partition("://")
    return yarl.URL.build(scheme=scheme, authority=authority, path=request.target, encoded=True)


def _header(line: bytes) -> tuple[str, str]:
    name, _, value = line.decode().partition(": ")
    return name, value


def _retry_after(text: str, now: float) -> float | None:
    """Seconds or an HTTP date, read as generously as libcurl does: leading digits count."""
    match = _SECONDS.match(text)
    seconds = float(match[1]) if match is not None else _date(text) - now
    return min(seconds, RETRY_AFTER_LIMIT) if seconds > 0 else None


def _date(text: str) -> float:
    """Seconds since the epoch; 0, long past, where the text is no date."""
    try:
        parsed = parsedate_tz(text)
        return 0.0 if parsed is None else float(mktime_tz(parsed))
    except (ValueError, TypeError, OverflowError):
        return 0.0


def _kind(error: Exception) -> ErrorKind:
    return next((kind for type_, kind in _ERRORS if isinstance(error, type_)), ErrorKind.CONNECT)


def _detail(error: Exception) -> str:
    """The error's kind and the system's words on it; aiohttp's own words may hold the URL."""
    if isinstance(error, _NoResponseError):
        error = cast("Exception", error.__cause__)
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        words = getattr(error.certificate_error, "verify_message", "")
    else:
        words = error.strerror if isinstance(error, OSError) else ""
    return f"{type(error).__name__}: {words}" if words else type(error).__name__
