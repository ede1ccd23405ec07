"""libcurl on the event loop: the default transport, and the fast one.

The loop watches all of libcurl's sockets as one descriptor and keeps its timers; what is sent in
one turn of the loop goes out together. libcurl is given the addresses of names, and looks up none.

At-least-once: libcurl sends a GET again, once, when a reused connection turns out to be dead before
the first byte of an answer (RFC 9110 section 9.2.2 allows it for idempotent methods), and up to
five times where a receiver refuses the stream (RFC 9113 section 8.7).

Linux only: epoll.
"""

import asyncio
import threading

from consumer.delivery.egress.guard import EgressPolicy
from consumer.delivery.http.authorities import Authorities
from consumer.delivery.http.curl_engine import Engine
from consumer.delivery.http.curl_routes import Route
from consumer.delivery.http.lookups import Lookups
from consumer.delivery.http.transport import AttemptResult, OnResult, Request, closed_result

_CLOSE_TIMEOUT_SECONDS = 5.0
"""Seconds that `close` waits for the last connection."""


class CurlTransport:
    """The engine's driver. Made and used on the loop's thread.

    `policy`: what may be dialled. `authorities`: those that receivers are checked with.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, policy: EgressPolicy, authorities: Authorities
    ) -> None:
        self._loop = loop
        self._policy = policy
        self._authorities = authorities
        self._engine: Engine | None = None
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

    async def failure(self) -> str:
        """See `Transport.failure`: the engine broke with nothing to do."""
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
        self._engine = Engine(self._policy, self._authorities, report=self._lookups.learn)
        self._loop.add_reader(self._engine.fileno(), self._iterate)

    def _end(self, engine: Engine) -> list[OnResult]:
        """Take no more. Returns what is left to be answered."""
        self._engine = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._loop.remove_reader(engine.fileno())
        unanswered = engine.fail_unanswered()
        self._closing = engine.close()
        return unanswered

    def _iterate(self) -> None:
        """Serve what is ready, begin what was sent, hand out the answers."""
        self._iteration_due = False
        engine = self._engine
        if engine is None:
            return
        try:
            engine.handle_events()
            answers = engine.drain_results()
            self._set_timer(engine.timeout())
        except Exception as error:  # noqa: BLE001  # the loop would go on, and the attempts never end
            self._recover(engine, error)
            return
        for done, answer in answers:
            self._call(done, answer)

    def _set_timer(self, seconds: float | None) -> None:
        """Have a turn in so many seconds. A timer that comes too early does no harm, so that most
        turns leave it as it is.
        """
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
        """What is under way goes with a broken engine, answered, and a new one goes on. With
        nothing under way it would break for ever.
        """
        unanswered = self._end(engine)
        problem: Exception | None = None if unanswered else error
        if unanswered:
            self._report("the curl transport starts afresh", error)
            try:
                self._begin()
            except Exception as last:  # noqa: BLE001  # whatever it is, nothing can be sent
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
        except Exception as error:  # noqa: BLE001  # the others' answers must not be lost
            self._report("the callback of an attempt failed", error)

    def _report(self, message: str, error: Exception) -> None:
        self._loop.call_exception_handler({"message": message, "exception": error})
