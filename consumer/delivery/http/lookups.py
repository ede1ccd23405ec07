"""Looks up the hosts of attempts on their way to libcurl, which looks up none itself."""

import asyncio
from collections.abc import Callable

from consumer.delivery.http.curl_easy import RouteProblem
from consumer.delivery.http.curl_routes import Route
from consumer.delivery.http.resolver import Addresses, Resolver
from consumer.delivery.http.transport import (
    CONNECTION_LIFETIME_SECONDS,
    AttemptResult,
    OnResult,
    Request,
    in_microseconds,
)
from consumer.reasons import ErrorKind

_Start = Callable[[Request, Route, OnResult], None]

_MIN_REMAINING_SECONDS = 0.001
"""Least time that an attempt has left when the addresses arrive."""


class Lookups:
    """Starts attempts once their hosts' addresses are known; their timeouts run meanwhile.

    `start` takes an attempt with the route to its origin, addresses included.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, start: _Start) -> None:
        self._loop = loop
        self._start = start
        self._resolver = Resolver(loop)
        self._routes: dict[str, Route] = {}
        """Routes by origin."""
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

    def learn(self, route: Route, problem: RouteProblem) -> None:
        """Apply the problem that a failed attempt showed to its route."""
        if problem is RouteProblem.STALLED:
            # No later attempt goes over an earlier connection.
            route.renew(self._loop.time())
        if route.lookup:  # the host may have moved
            self._resolver.doubt(route.lookup, usable=problem is not RouteProblem.REFUSED)

    def forget(self) -> None:
        """Look every name up again."""
        self._resolver.invalidate()

    def end(self, answer: AttemptResult) -> None:
        """Finish all waiting attempts with `answer`."""
        for lookup in list(self._waiting):
            lookup.answer(answer)

    def found(self, lookup: "_Lookup", addresses: Addresses) -> None:
        """Start an attempt that waited for `addresses`."""
        if addresses is not lookup.route.addresses:
            self._take(lookup.route, addresses)
        self._start(lookup.rest(), lookup.route, lookup.answered)

    def leave(self, lookup: "_Lookup") -> bool:
        """Stop waiting. False if it did not wait any more."""
        return self._waiting.pop(lookup, self) is None

    def _take(self, route: Route, addresses: Addresses) -> None:
        """Dial `addresses` from now on. Connections are given up if they lead to none of these, or
        after their lifetime: libcurl itself keeps a connection that is never idle for ever.
        """
        before, route.addresses = route.addresses, addresses
        now = self._loop.time()
        if before and (
            now - route.since > CONNECTION_LIFETIME_SECONDS or set(addresses).isdisjoint(before)
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
        """Go on with the remaining time; see `resolver.OnResolved`."""
        if not addresses:
            self.answer(AttemptResult(error=ErrorKind.DNS, detail=f"lookup failed: {problem}"))
        elif self._leave():
            self._lookups.found(self, addresses)

    def rest(self) -> Request:
        """The request with its remaining time."""
        whole = self._request
        return Request(
            whole.origin,
            whole.target,
            whole.headers,
            max(whole.timeout - self._spent, _MIN_REMAINING_SECONDS),
            max(whole.connect_timeout - self._spent, _MIN_REMAINING_SECONDS),
        )

    def answer(self, answer: AttemptResult) -> None:
        """Finish with `answer` and send nothing, unless it is finished already."""
        if self._leave():
            self.answered(answer)

    def answered(self, answer: AttemptResult) -> None:
        """Pass on the result, with the time of the lookup added."""
        answer.duration = in_microseconds(answer.duration + self._spent)
        if answer.phases is not None:
            _, *later = answer.phases
            lookup = int(self._spent * 1_000_000)
            connect, tls, first_byte = (at + lookup if at else 0 for at in later)
            answer.phases = lookup, connect, tls, first_byte
        self._done(answer)

    def _expire(self) -> None:
        self.answer(
            AttemptResult(error=ErrorKind.TIMEOUT, detail="the host was not looked up in time")
        )

    def _leave(self) -> bool:
        """Stop waiting. False if it did not wait any more."""
        self._timer.cancel()
        self._spent = self._loop.time() - self._since
        return self._lookups.leave(self)
