"""libcurl on the event loop: the default transport, and the faster one.

The loop watches all of libcurl's sockets as one descriptor and keeps its timers. What is sent in
one loop iteration goes out together. libcurl is given the addresses of names, and looks up none.

Delivery is at-least-once: libcurl repeats a GET once if a reused connection turns out to be dead
before the first byte of an answer (RFC 9110 section 9.2.2 allows it for idempotent methods), and up
to five times if a receiver refuses the stream (RFC 9113 section 8.7).

It needs epoll, so it runs on Linux only.
"""

import asyncio
import threading

from consumer.delivery.egress.guard import EgressPolicy
from consumer.delivery.http.authorities import Authorities
from consumer.delivery.http.curl_engine import Engine
from consumer.delivery.http.curl_routes import Route
from consumer.delivery.http.lookups import Lookups
from consumer.delivery.http.transport import (
    AnswerTaker,
    AttemptResult,
    OnResult,
    Request,
    Wanted,
    closed_result,
)

_CLOSE_TIMEOUT_SECONDS = 5.0
"""Bound for the wait of `close` for the last connection."""


class CurlTransport:
    """Drives the engine by the event loop. Made and used on the loop's thread.

    `policy` is what may be dialled, and `authorities` are what receivers are verified with;
    `taker`: see `AnswerTaker`, without it answers are discarded.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        policy: EgressPolicy,
        authorities: Authorities,
        *,
        taker: AnswerTaker | None = None,
    ) -> None:
        self._loop = loop
        self._taker = taker
        self._policy = policy
        self._authorities = authorities
        self._engine: Engine | None = None
        self._wanted: Wanted | None = None
        self._lookups = Lookups(loop, self._start)
        self._iteration_due = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0.0
        self._closing: list[threading.Thread] = []
        self._failure: asyncio.Future[str] = loop.create_future()
        self._begin()

    def send(self, request: Request, done: OnResult) -> None:
        """See `Transport.send`."""
        self._lookups.send(request, done)

    def keep_idle(self, connections: int) -> None:
        """See `Transport.keep_idle`."""
        if self._engine is not None:
            self._engine.keep_idle(connections)

    def set_policy(self, policy: EgressPolicy) -> None:
        """See `Transport.set_policy`."""
        if policy != self._policy:
            self._policy = policy
            self._lookups.forget()
            if self._engine is not None:
                self._engine.set_policy(policy)

    def trust(self, authorities: Authorities) -> None:
        """See `Transport.trust`."""
        if authorities.pem != self._authorities.pem:
            self._authorities = authorities
            if self._engine is not None:
                self._engine.trust(authorities)

    def measure(self, wanted: Wanted | None) -> None:
        """See `Transport.measure`."""
        self._wanted = wanted
        if self._engine is not None:
            self._engine.wanted = wanted

    async def failure(self) -> str:
        """See `Transport.failure`: the engine broke while it had nothing to do."""
        return await asyncio.shield(self._failure)

    async def close(self) -> None:
        """See `Transport.close`. A second call does nothing."""
        if self._engine is not None:
            self._answer_closed(self._end(self._engine))
        self._lookups.end(closed_result())
        for thread in self._closing:
            await asyncio.to_thread(thread.join, _CLOSE_TIMEOUT_SECONDS)

    def _start(self, request: Request, route: Route, done: OnResult) -> None:
        if self._engine is None:
            self._loop.call_soon(done, closed_result())
            return
        self._engine.start(request, route, done)
        if not self._iteration_due:
            self._iteration_due = True
            self._loop.call_soon(self._iterate)

    def _begin(self) -> None:
        self._engine = Engine(
            self._policy,
            self._authorities,
            report=self._lookups.learn,
            taker=self._taker,
        )
        self._engine.wanted = self._wanted
        self._loop.add_reader(self._engine.fileno(), self._iterate)

    def _end(self, engine: Engine) -> list[OnResult]:
        """Close the engine. Returns the callbacks of its unfinished attempts."""
        self._engine = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._loop.remove_reader(engine.fileno())
        unanswered = engine.fail_unanswered()
        self._closing = engine.close()
        return unanswered

    def _iterate(self) -> None:
        """Serve ready sockets, begin what was sent, and deliver the results."""
        self._iteration_due = False
        engine = self._engine
        if engine is None:
            return
        try:
            engine.handle_events()
            answers = engine.drain_results()
            self._set_timer(engine.timeout())
        except Exception as error:  # noqa: BLE001  # else the attempts would never end
            self._recover(engine, error)
            return
        for done, answer in answers:
            self._call(done, answer)

    def _set_timer(self, seconds: float | None) -> None:
        """Iterate after `seconds`. An earlier timer is kept: firing too early does no harm."""
        if seconds is None:
            return
        due = self._loop.time() + seconds
        if self._timer is not None:
            if self._timer_due <= due:
                return
            self._timer.cancel()
        self._timer_due = due
        self._timer = self._loop.call_later(seconds, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        self._iterate()

    def _recover(self, engine: Engine, error: Exception) -> None:
        """Fail the attempts of a broken engine and replace it. If it broke with nothing under way,
        the transport has failed: a new engine would break too, for ever.
        """
        unanswered = self._end(engine)
        problem: Exception | None = None if unanswered else error
        if unanswered:
            self._report("the curl transport starts afresh", error)
            try:
                self._begin()
            except Exception as last:  # noqa: BLE001  # after any error nothing can be sent
                problem = last
        if problem is not None:
            self._fail(problem)
        self._answer_closed(unanswered)

    def _fail(self, error: Exception) -> None:
        self._report("the curl transport has ended", error)
        self._failure.set_result(
            f"the curl transport has ended ({type(error).__name__}: {error}): "
            "start the daemon again, or set delivery.transport to aiohttp"
        )

    def _answer_closed(self, unanswered: list[OnResult]) -> None:
        for done in unanswered:
            self._call(done, closed_result())

    def _call(self, done: OnResult, answer: AttemptResult) -> None:
        try:
            done(answer)
        except Exception as error:  # noqa: BLE001  # the other attempts' results must not be lost
            self._report("the callback of an attempt failed", error)

    def _report(self, message: str, error: Exception) -> None:
        self._loop.call_exception_handler({"message": message, "exception": error})
