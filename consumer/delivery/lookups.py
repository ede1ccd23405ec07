"""Attempts on their way to libcurl, which is given the addresses of hosts and looks up none."""

import asyncio
from collections.abc import Callable
from ipaddress import ip_address
from urllib.parse import urlsplit

from consumer.delivery.resolver import Addresses, Resolver
from consumer.delivery.transport import Answer, Done, Request
from consumer.reasons import ErrorKind

_Start = Callable[[Request, Addresses, Done], None]

_LEAST = 0.001
"""Seconds that an attempt has left at least when the addresses come."""


class Lookups:
    """Sends on at once what needs no lookup; the rest waits here, and its time limits run.

    `start` takes an attempt with the addresses of its host, none where the host is a number.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, start: _Start) -> None:
        self._loop = loop
        self._start = start
        self._resolver = Resolver(loop)
        self._names: dict[str, str] = {}
        """By origin, the host to be looked up; empty where it is a number."""
        self._waiting: dict[_Lookup, None] = {}

    def send(self, request: Request, done: Done) -> None:
        """See `Transport.send`."""
        host = self._names.get(request.origin)
        if host is None:
            host = self._names[request.origin] = _name(request.origin)
        addresses = self._resolver.known(host) if host else ()
        if host and not addresses:
            lookup = _Lookup(self._loop, request, done, self._start, self._waiting)
            self._resolver.ask(host, lookup.found)
        else:
            self._start(request, addresses, done)

    def forget(self) -> None:
        """Look every name up again."""
        self._resolver.forget()

    def end(self, answer: Answer) -> None:
        """Answer all that wait."""
        for lookup in list(self._waiting):
            lookup.answer(answer)


class _Lookup:
    """An attempt that waits, as long as it stands in `waiting`."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        request: Request,
        done: Done,
        start: _Start,
        waiting: "dict[_Lookup, None]",
    ) -> None:
        self._loop = loop
        self._request = request
        self._done = done
        self._start = start
        self._waiting = waiting
        self._since = loop.time()
        self._spent = 0.0
        waiting[self] = None
        limit = min(request.timeout, request.connect_timeout)
        self._timer = loop.call_later(limit, self._expire)

    def found(self, addresses: Addresses, problem: str) -> None:
        """Go on, with what is left of the time; see `resolver.Found`."""
        if not addresses:
            self.answer(Answer(error=ErrorKind.DNS, detail=f"lookup failed: {problem}"))
        elif self._leave():
            self._start(self._rest(), addresses, self._answered)

    def answer(self, answer: Answer) -> None:
        """Send nothing, and say so; unless that has been said."""
        if self._leave():
            self._answered(answer)

    def _expire(self) -> None:
        self.answer(Answer(error=ErrorKind.TIMEOUT, detail="the host was not looked up in time"))

    def _leave(self) -> bool:
        """False where it does not wait any more."""
        self._timer.cancel()
        self._spent = self._loop.time() - self._since
        return self._waiting.pop(self, self) is None

    def _rest(self) -> Request:
        whole = self._request
        return Request(
            whole.origin,
            whole.target,
            whole.headers,
            max(whole.timeout - self._spent, _LEAST),
            max(whole.connect_timeout - self._spent, _LEAST),
        )

    def _answered(self, answer: Answer) -> None:
        answer.duration += self._spent
        self._done(answer)


def _name(origin: str) -> str:
    """What must be looked up to dial `origin`; empty where that is a number, or cannot be read."""
    host = ""
    try:
        host = urlsplit(origin).hostname or ""
        ip_address(host)
    except ValueError:
        return host
    return ""
