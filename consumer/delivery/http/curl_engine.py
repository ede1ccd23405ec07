"""The engine runs libcurl's multi handles, driven by socket events and time, without blocking."""

import select
import threading
from collections.abc import Callable
from typing import Any

import pycurl  # type: ignore[import-untyped]  # the stubs of others lag behind its constants

from consumer.delivery.egress.guard import EgressPolicy
from consumer.delivery.http.authorities import Authorities
from consumer.delivery.http.curl_easy import Easy, RouteProblem
from consumer.delivery.http.curl_routes import Route
from consumer.delivery.http.curl_sockets import Sockets
from consumer.delivery.http.resolver import Addresses
from consumer.delivery.http.transport import (
    AnswerTaker,
    AttemptResult,
    OnResult,
    Phases,
    Request,
    Wanted,
)
from consumer.reasons import ErrorKind

_DEFAULT_IDLE_CONNECTIONS = 512
"""Connections kept open for reuse to all hosts together, until `Engine.keep_idle` is called."""

_CURL_MASKS = {
    select.EPOLLIN: pycurl.CSELECT_IN,
    select.EPOLLOUT: pycurl.CSELECT_OUT,
    select.EPOLLIN | select.EPOLLOUT: pycurl.CSELECT_IN | pycurl.CSELECT_OUT,
}
_CURL_ERROR_MASK = pycurl.CSELECT_IN | pycurl.CSELECT_OUT | pycurl.CSELECT_ERR


class Engine:
    """Starts attempts and returns their results.

    In one iteration a caller uses `handle_events`, `start`, `drain_results`. An iteration is due
    when `fileno` is readable or `timeout` has passed. `report` is called with a route's problem.
    """

    def __init__(
        self,
        policy: EgressPolicy,
        authorities: Authorities,
        *,
        report: Callable[[Route, RouteProblem], None],
        taker: AnswerTaker | None = None,
    ) -> None:
        self._report = report
        self._taker = taker
        self._sockets = Sockets()
        self._free: list[Easy] = []
        self._policy = policy
        self._authorities = authorities
        self._idle_connections = _DEFAULT_IDLE_CONNECTIONS
        self._pools = [_Pool(self._sockets, self._idle_connections)]
        """The pool in use is the last; the others end with their last attempt."""
        self._refused: list[tuple[OnResult, AttemptResult]] = []
        self.wanted: Wanted | None = None
        """See `Transport.measure`."""

    def fileno(self) -> int:
        """A descriptor that is readable while a socket of libcurl is ready."""
        return self._sockets.fileno()

    def timeout(self) -> float | None:
        """Seconds until a timer of libcurl is due; None if it has none."""
        waits = [ms for pool in self._pools if (ms := pool.multi.timeout()) >= 0]
        return min(waits) / 1000 if waits else None

    def keep_idle(self, connections: int) -> None:
        """Keep at most `connections` open for reuse to all hosts together."""
        self._idle_connections = connections
        for pool in self._pools:
            pool.multi.setopt(pycurl.M_MAXCONNECTS, connections)

    def set_policy(self, policy: EgressPolicy) -> None:
        """Begin later attempts by `policy`, on new connections only."""
        self._policy = policy
        self._begin_pool()

    def trust(self, authorities: Authorities) -> None:
        """Begin later attempts with `authorities`, on new connections only: libcurl caches parsed
        authorities and TLS sessions for each multi handle.
        """
        self._authorities = authorities
        for easy in self._free:  # else idle handles would keep the previous authorities alive
            easy.trust(authorities)
        self._begin_pool()

    def handle_events(self) -> None:
        """Let libcurl read and write its ready sockets."""
        idle, owners = self._sockets.idle, self._sockets.owners
        for fd, mask in self._sockets.ready():
            if fd in idle:
                self._sockets.forget(fd)
            else:
                owners[fd].socket_action(fd, _CURL_MASKS.get(mask, _CURL_ERROR_MASK))

    def start(self, request: Request, route: Route, done: OnResult) -> None:
        """Begin an attempt, which goes out in the next `drain_results`. Never raises."""
        pool = self._pools[-1]
        try:
            easy = self._free.pop() if self._free else Easy(self._sockets, self._taker)
            if easy.authorities is not self._authorities:
                easy.trust(self._authorities)
            easy.prepare(request, route, self._policy)
            pool.resolve(easy, route)
            pool.multi.add_handle(easy.handle)
        except Exception as error:  # noqa: BLE001  # a request that cannot be sent has a result too
            refusal = AttemptResult(
                error=ErrorKind.CONNECT, detail=f"not sendable: {type(error).__name__}"
            )
            self._refused.append((done, refusal))
        else:
            pool.under_way[easy.handle] = easy, done

    def drain_results(self) -> list[tuple[OnResult, AttemptResult]]:
        """Run what was started or timed out, and return what is finished."""
        answers, self._refused = self._refused, []
        with self._sockets.corked():
            for pool in self._pools:
                pool.multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
                pool.began()
        for pool in self._pools:
            self._drain_pool(pool, answers)
        if len(self._pools) > 1:
            self._drop_retired()
        return answers

    def fail_unanswered(self) -> list[OnResult]:
        """The callbacks of the attempts that `drain_results` did not return."""
        refused = [done for done, _ in self._refused]
        return refused + [done for pool in self._pools for _, done in pool.under_way.values()]

    def close(self) -> list[threading.Thread]:
        """Close every connection, also those in use; the threads end when that is done."""
        closing = [pool.close() for pool in self._pools]
        for easy in self._free:
            easy.handle.close()
        self._sockets.close()
        return closing

    def _drain_pool(self, pool: "_Pool", answers: list[tuple[OnResult, AttemptResult]]) -> None:
        remaining, wanted = 1, self.wanted
        while remaining:
            remaining, succeeded, failed = pool.multi.info_read()
            for handle in succeeded:
                easy, done = self._release(pool, handle)
                answer = easy.response()
                if wanted is not None and wanted(answer.status):
                    answer.phases = _phases(easy, answer)
                answers.append((done, answer))
            for handle, code, message in failed:
                easy, done = pool.under_way[handle]
                answer = easy.failure(code, message)
                problem = easy.route_problem(answer)
                self._release(pool, handle)
                if problem is not None:
                    self._report(easy.route, problem)
                    answer.gave_up_connections = problem is RouteProblem.STALLED
                if wanted is not None and wanted(answer.status):
                    answer.phases = _phases(easy, answer)
                answers.append((done, answer))

    def _release(self, pool: "_Pool", handle: Any) -> tuple[Easy, OnResult]:
        easy, done = pool.under_way.pop(handle)
        if easy.dialled:
            self._sockets.share(easy.shared_socket())
        pool.multi.remove_handle(handle)
        self._free.append(easy)
        return easy, done

    def _begin_pool(self) -> None:
        self._pools.append(_Pool(self._sockets, self._idle_connections))
        self._drop_retired()

    def _drop_retired(self) -> None:
        for pool in self._pools[:-1]:
            if not pool.under_way:
                self._pools.remove(pool)
                pool.close()
                self._sockets.remove_multi(pool.multi)


class _Pool:
    """The connections made by one policy with the same authorities: one multi handle and its
    attempts.

    A change of either begins a new pool, so that no request goes over a connection that it forbids.
    """

    __slots__ = ("_beginning", "_resolved", "multi", "under_way")

    def __init__(self, sockets: Sockets, idle_connections: int) -> None:
        self.multi = pycurl.CurlMulti()
        self.multi.setopt(pycurl.M_SOCKETFUNCTION, sockets.change)
        self.multi.setopt(pycurl.M_MAXCONNECTS, idle_connections)
        self.under_way: dict[Any, tuple[Easy, OnResult]] = {}
        """Attempts by easy handle."""
        self._resolved: dict[str, Addresses] = {}
        """The addresses in libcurl's cache, by the route's label."""
        self._beginning: dict[str, Addresses] = {}
        """The addresses that will be there once the attempts that set them have begun."""

    def resolve(self, easy: Easy, route: Route) -> None:
        """Make libcurl dial the route's addresses."""
        addresses = route.addresses
        if addresses and self._resolved.get(route.label) is not addresses:
            self._beginning[route.label] = addresses
            easy.resolve(route.resolved())
        elif easy.resolves:
            easy.resolve([])

    def began(self) -> None:
        """Note that all started attempts have begun."""
        if self._beginning:
            self._resolved |= self._beginning
            self._beginning.clear()

    def close(self) -> threading.Thread:
        """Close in a daemon thread, since libcurl may block."""
        for handle in self.under_way:
            self.multi.remove_handle(handle)
            handle.close()
        self.multi.setopt(pycurl.M_SOCKETFUNCTION, _ignore)
        closing = threading.Thread(target=self.multi.close, name="curl-close", daemon=True)
        closing.start()
        return closing


def _phases(easy: Easy, answer: AttemptResult) -> Phases:
    """The phases of the attempt that ended with `answer`."""
    getinfo = easy.handle.getinfo
    # Without an answer libcurl tells when the attempt ended.
    first_byte: int = 0 if answer.error else getinfo(pycurl.STARTTRANSFER_TIME_T)
    if not easy.dialled:  # libcurl counts the search for a kept connection as connecting
        return 0, 0, 0, first_byte
    return (
        getinfo(pycurl.NAMELOOKUP_TIME_T),
        getinfo(pycurl.CONNECT_TIME_T),
        getinfo(pycurl.APPCONNECT_TIME_T),
        first_byte,
    )


def _ignore(*_args: object) -> None:
    """CURLMOPT_SOCKETFUNCTION of a multi handle that another thread closes."""
