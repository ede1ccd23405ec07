"""Attempts on their way to libcurl, which is given the addresses of hosts and looks up none."""

import asyncio
from collections.abc import Callable

from consumer.delivery.http.curl_easy import Trouble
from consumer.delivery.http.curl_routes import Route
from consumer.delivery.http.resolver import Addresses, Resolver
from consumer.delivery.http.transport import CONNECTION_LIFETIME, AttemptResult, OnResult, Request
from consumer.reasons import ErrorKind

_Start = Callable[[Request, Route, OnResult], None]

_LEAST = 0.001
"""Seconds that an attempt has left at least when the addresses come."""


class Lookups:
    """Sends on at once what needs no lookup; the rest waits here, and its time limits run.

    `start` takes an attempt with the route to its origin, addresses included.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, start: _Start) -> None:
        self._loop = loop
        self._start = start
        self._resolver = Resolver(loop)
        self._routes: dict[str, Route] = {}
        """By origin."""
        self._waiting: dict[_Lookup, None] = {}

    def send(self, request: Request, done: OnResult) -> None:
        """See `Transport.send`."""
        route = self._routes.get(request.origin)
        if route is None:
            route = self._routes[request.origin] = Route(request.origin, self._loop.time())
        if route.lookup:
            addresses = self._resolver.cached(route.lookup)
            if not addresses:
                lookup = _Lookup(self, self._loop, request, route, done)
                self._waiting[lookup] = None
                self._resolver.resolve(route.lookup, lookup.found)
                return
            if addresses is not route.addresses:
                self._take(route, addresses)
        self._start(request, route, done)

    def learn(self, route: Route, trouble: Trouble) -> None:
        """Draw the consequences from what a failed attempt says of the way to its origin."""
        if trouble is Trouble.STALLED:
            # No attempt that begins from now on goes over a connection of before.
            route.renew(self._loop.time())
        if route.lookup:  # the host may have moved
            self._resolver.doubt(route.lookup, usable=trouble is not Trouble.REFUSED)

    def forget(self) -> None:
        """Look every name up again."""
        self._resolver.invalidate()

    def end(self, answer: AttemptResult) -> None:
        """Answer all that wait."""
        for lookup in list(self._waiting):
            lookup.answer(answer)

    def found(self, lookup: "_Lookup", addresses: Addresses) -> None:
        """Send on what has waited for these."""
        if addresses is not lookup.route.addresses:
            self._take(lookup.route, addresses)
        self._start(lookup.rest(), lookup.route, lookup.answered)

    def leave(self, lookup: "_Lookup") -> bool:
        """False if it does not wait any more."""
        return self._waiting.pop(lookup, self) is None

    def _take(self, route: Route, addresses: Addresses) -> None:
        """Dial these from now on. Connections end their service where they lead to none of them,
        or after their lifetime: libcurl itself keeps a connection that is never idle for ever.
        """
        before, route.addresses = route.addresses, addresses
        now = self._loop.time()
        if before and (
            now - route.since > CONNECTION_LIFETIME or set(addresses).isdisjoint(before)
        ):
            route.renew(now)


class _Lookup:
    """An attempt that waits for the addresses of its host."""

    def __init__(
        self,
        lookups: Lookups,
        loop: asyncio.AbstractEventLoop,
        request: Request,
        route: Route,
        done: OnResult,
    ) -> None:
        self.route = route
        self._lookups = lookups
        self._loop = loop
        self._request = request
        self._done = done
        self._since = loop.time()
        self._spent = 0.0
        limit = min(request.timeout, request.connect_timeout)
        self._timer = loop.call_later(limit, self._expire)

    def found(self, addresses: Addresses, problem: str) -> None:
        """Go on, with what is left of the time; see `resolver.Found`."""
        if not addresses:
            self.answer(AttemptResult(error=ErrorKind.DNS, detail=f"lookup failed: {problem}"))
        elif self._leave():
            self._lookups.found(self, addresses)

    def rest(self) -> Request:
        """The request with what is left of its time."""
        whole = self._request
        return Request(
            whole.origin,
            whole.target,
            whole.headers,
            max(whole.timeout - self._spent, _LEAST),
            max(whole.connect_timeout - self._spent, _LEAST),
        )

    def answer(self, answer: AttemptResult) -> None:
        """Send nothing, and say so; unless that has been said."""
        if self._leave():
            self.answered(answer)

    def answered(self, answer: AttemptResult) -> None:
        """Pass on what became of it."""
        answer.duration += self._spent
        self._done(answer)

    def _expire(self) -> None:
        self.answer(
            AttemptResult(error=ErrorKind.TIMEOUT, detail="the host was not looked up in time")
        )

    def _leave(self) -> bool:
        """False if it does not wait any more."""
        self._timer.cancel()
        self._spent = self._loop.time() - self._since
        return self._lookups.leave(self)
