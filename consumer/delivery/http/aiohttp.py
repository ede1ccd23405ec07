"""aiohttp as a transport: the alternative to libcurl.

An attempt is one request: a kept connection that dies meanwhile is a connect error.
"""

import asyncio
import re
from contextlib import suppress
from email.utils import mktime_tz, parsedate_tz
from typing import cast

import aiohttp
import yarl

from consumer.clock import Clock
from consumer.delivery.egress.guard import EgressPolicy
from consumer.delivery.http.aiohttp_pool import DIAL, Dial, NoResponseError, Pool
from consumer.delivery.http.authorities import Authorities
from consumer.delivery.http.transport import (
    MAX_BODY_BYTES,
    MAX_RETRY_AFTER_SECONDS,
    MIN_FINAL_STATUS,
    AnswerTaker,
    AttemptResult,
    OnResult,
    Request,
    Wanted,
    closed_result,
    in_microseconds,
)
from consumer.reasons import ErrorKind

_KINDS: tuple[tuple[type[Exception], ErrorKind], ...] = (
    (TimeoutError, ErrorKind.TIMEOUT),
    (aiohttp.ClientConnectorDNSError, ErrorKind.DNS),
    (aiohttp.ClientSSLError, ErrorKind.TLS),
)
"""Any other error is a connect error: refused, reset, empty, garbled, cut short."""

_SECONDS_PATTERN = re.compile(r"\s*(\d+)")


class AiohttpTransport:
    """Sends each attempt in a task. Made and used on the loop's thread, while the loop runs.

    `policy` is what may be dialled, and `authorities` are what receivers are verified with;
    `taker`: see `AnswerTaker`, without it answers are discarded.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        policy: EgressPolicy,
        authorities: Authorities,
        *,
        clock: Clock,
        taker: AnswerTaker | None = None,
    ) -> None:
        self._loop = loop
        self._taker = taker
        self._clock = clock
        self._authorities = authorities
        self._pool = Pool(loop, policy, authorities.context)
        self._wanted: Wanted | None = None
        self._retired: set[asyncio.Task[None]] = set()
        self._under_way: dict[asyncio.Task[AttemptResult], OnResult] = {}

    def send(self, request: Request, done: OnResult) -> None:
        """See `Transport.send`."""
        if self._pool.session.closed:
            self._loop.call_soon(done, closed_result())
            return
        task = self._loop.create_task(self._attempt(request, self._pool))
        self._pool.attempts.add(task)
        task.add_done_callback(self._pool.attempts.discard)
        self._under_way[task] = done
        task.add_done_callback(self._finish)

    def keep_idle(self, connections: int) -> None:
        """Nothing: aiohttp bounds idle connections by time, 15 seconds, and not by number."""

    def set_policy(self, policy: EgressPolicy) -> None:
        """See `Transport.set_policy`."""
        if policy != self._pool.policy:
            self._begin(policy)

    def trust(self, authorities: Authorities) -> None:
        """See `Transport.trust`."""
        if authorities.pem != self._authorities.pem:
            self._authorities = authorities
            self._begin(self._pool.policy)

    def _begin(self, policy: EgressPolicy) -> None:
        """Send later attempts over new connections."""
        before = self._pool
        if before.session.closed:
            return
        self._pool = Pool(self._loop, policy, self._authorities.context)
        ending = self._loop.create_task(before.end())
        self._retired.add(ending)
        ending.add_done_callback(self._retired.discard)

    async def failure(self) -> str:
        """See `Transport.failure`. It never returns, since each attempt fails by itself."""
        never: asyncio.Future[str] = self._loop.create_future()
        return await never

    def measure(self, wanted: Wanted | None) -> None:
        """See `Transport.measure`. aiohttp tells the time of the whole attempt only."""
        self._wanted = wanted

    async def close(self) -> None:
        """See `Transport.close`. A second call does nothing."""
        closing = self._pool.session.close()
        tasks = list(self._under_way)
        for task in tasks:
            task.cancel()
        await closing
        await asyncio.gather(*tasks, *self._retired, return_exceptions=True)
        await asyncio.sleep(0)  # tasks call back one loop iteration after their end

    def _finish(self, task: asyncio.Task[AttemptResult]) -> None:
        done = self._under_way.pop(task)
        # Only `close` cancels, perhaps before the coroutine's first line ran.
        done(closed_result() if task.cancelled() else task.result())

    async def _attempt(self, request: Request, pool: Pool) -> AttemptResult:
        started = self._clock.monotonic()
        dial = Dial(pool.policy, request.origin)
        DIAL.set(dial)
        try:
            answer = await self._get(request, pool.session)
        except Exception as error:  # noqa: BLE001  # any error that a receiver provokes is a result
            guard = dial.guard
            if guard.refusal is not None:
                answer = AttemptResult(
                    error=ErrorKind.BLOCKED,
                    detail=guard.refusal,
                    blocked_by_lookup=guard.refused_by_lookup,
                )
            else:
                answer = AttemptResult(error=_kind(error), detail=_detail(error))
            timed_out = answer.error is ErrorKind.TIMEOUT
            answer.gave_up_connections = pool.learn(dial, timed_out=timed_out)
        answer.duration = in_microseconds(self._clock.monotonic() - started)
        if self._wanted is not None and self._wanted(answer.status):
            answer.phases = (0, 0, 0, 0)
        return answer

    async def _get(self, request: Request, session: aiohttp.ClientSession) -> AttemptResult:
        async with session.get(
            _url(request),
            headers=[_header(line) for line in request.headers],
            timeout=aiohttp.ClientTimeout(total=request.timeout, connect=request.connect_timeout),
            allow_redirects=False,
        ) as response:
            if response.status < MIN_FINAL_STATUS:
                return AttemptResult(error=ErrorKind.CONNECT, detail="no final response")
            wait = _retry_after(response.headers.get("Retry-After", ""), self._clock.now())
            answer = AttemptResult(status=response.status, retry_after=wait)
            if self._taker is not None:
                for name, value in response.raw_headers:
                    self._taker.take_line(b"%s: %s" % (name, value))
            with suppress(Exception):  # the result stands once the header block is complete
                await _read_body(response, self._taker)
            return answer


async def _read_body(response: aiohttp.ClientResponse, taker: AnswerTaker | None) -> None:
    """Read the body, so that the connection can be reused; close it if the body is too long."""
    remaining = MAX_BODY_BYTES
    async for chunk in response.content.iter_any():
        remaining -= len(chunk)
        if taker is not None:
            taker.take(chunk)
        if remaining < 0:
            response.close()
            return


def _url(request: Request) -> yarl.URL:
    """The URL, its target set as a path: if yarl parsed it, it would drop an empty query's `?`."""
    scheme, _, authority = request.origin.partition("://")
    return yarl.URL.build(scheme=scheme, authority=authority, path=request.target, encoded=True)


def _header(line: bytes) -> tuple[str, str]:
    name, _, value = line.decode().partition(": ")
    return name, value


def _retry_after(text: str, now: float) -> float | None:
    """The seconds of a `Retry-After`, read as leniently as by libcurl: leading digits count."""
    match = _SECONDS_PATTERN.match(text)
    seconds = float(match[1]) if match is not None else _date(text) - now
    return min(seconds, MAX_RETRY_AFTER_SECONDS) if seconds > 0 else None


def _date(text: str) -> float:
    """An HTTP date in epoch seconds; 0 if the text is no date."""
    try:
        parsed = parsedate_tz(text)
        return 0.0 if parsed is None else float(mktime_tz(parsed))
    except (ValueError, TypeError, OverflowError):
        return 0.0


def _kind(error: Exception) -> ErrorKind:
    return next((kind for type_, kind in _KINDS if isinstance(error, type_)), ErrorKind.CONNECT)


def _detail(error: Exception) -> str:
    """The error's type and the system's message; aiohttp's own message may hold the URL."""
    if isinstance(error, NoResponseError):
        error = cast("Exception", error.__cause__)
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        message = getattr(error.certificate_error, "verify_message", "")
    else:
        message = error.strerror if isinstance(error, OSError) else ""
    return f"{type(error).__name__}: {message}" if message else type(error).__name__
