"""libcurl in a thread of its own: the default transport, and the fast one.

libcurl works without the interpreter's lock, so the thread runs beside the event loop, and both
sides trade in batches: requests go over in one deque with at most one wake-up per turn of the loop,
answers come back in another with at most one wake-up per turn of the thread.

At-least-once: libcurl sends a GET again, once, when a reused connection turns out to be dead before
the first byte of an answer (RFC 9110 section 9.2.2 allows it for idempotent methods), and up to
five times where a receiver refuses the stream (RFC 9113 section 8.7).

Linux only: eventfd and epoll.
"""

import asyncio
import os
import ssl
import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress

from consumer.delivery.curl_engine import Done, Engine
from consumer.delivery.guard import Policy
from consumer.delivery.transport import Answer, ErrorKind, Request

_PATIENCE = 5.0
"""Seconds that `close` waits for the thread; a lookup that hangs in the C library can hold it."""


class CurlTransport:
    """The loop's side, and below it the thread's boundary; the work itself is the engine's.

    `policy`: what may be dialled. `ca_file`: PEM file that replaces the system's certificate
    authorities, as `curl --cacert` does. Raises OSError or ssl.SSLError where it cannot be
    used.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, policy: Policy, *, ca_file: str | None = None
    ) -> None:
        ssl.create_default_context(cafile=ca_file)  # libcurl would say so at each request only
        self._loop = loop
        self._policy = policy
        self._ca_file = ca_file
        self._inbox: deque[tuple[Request, Done]] = deque()
        self._outbox: deque[tuple[Done, Answer]] = deque()
        self._asleep = False
        self._flush_due = False
        self._answers_due = False
        self._closing = False
        self._ended = asyncio.Event()
        self._failure: asyncio.Future[str] = loop.create_future()
        self._waker = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._thread = threading.Thread(target=self._run, name="hookstream-curl", daemon=True)
        self._thread.start()

    def send(self, request: Request, done: Callable[[Answer], None]) -> None:
        """See `Transport.send`."""
        if self._closing:
            self._loop.call_soon(done, _closed())
            return
        self._inbox.append((request, done))
        if not self._flush_due:
            self._flush_due = True
            self._loop.call_soon(self._flush)

    def restrict(self, policy: Policy) -> None:
        """See `Transport.restrict`."""
        if policy != self._policy:
            self._policy = policy
            self._flush()

    async def failure(self) -> str:
        """See `Transport.failure`: the engine cannot be built, or broke with nothing to do."""
        return await asyncio.shield(self._failure)

    async def close(self) -> None:
        """See `Transport.close`. A second call does nothing."""
        if self._waker < 0:
            return
        waker, self._waker = self._waker, -1
        self._closing = True
        os.eventfd_write(waker, 1)
        try:
            await asyncio.wait_for(self._ended.wait(), _PATIENCE)
        except TimeoutError:
            self._end()
        else:
            self._thread.join()
        finally:
            self._asleep = False
            os.close(waker)

    def _flush(self) -> None:
        """Wake the thread, unless it is up and will find the requests by itself."""
        self._flush_due = False
        if self._asleep and self._waker >= 0:
            self._asleep = False
            os.eventfd_write(self._waker, 1)

    def _hand_out(self) -> None:
        """Call what waits for the answers that are here."""
        self._answers_due = False  # before reading: what comes later knocks again
        self._flush_due = True  # what the callbacks send goes over in one batch, below
        for _ in range(len(self._outbox)):
            done, answer = self._outbox.popleft()
            try:
                done(answer)
            except Exception as error:  # noqa: BLE001  # the others' answers must not be lost
                self._report("the callback of an attempt failed", error)
        self._flush()

    def _end(self) -> None:
        """The thread takes no more: answer what it left."""
        self._ended.set()
        while self._inbox:
            self._outbox.append((self._inbox.popleft()[1], _closed()))
        self._hand_out()

    def _fail(self, error: Exception) -> None:
        self._report("the curl transport has ended", error)
        self._failure.set_result(
            f"the curl transport has ended ({type(error).__name__}: {error}): "
            "start the daemon again, or set delivery.transport to aiohttp"
        )

    def _report(self, message: str, error: Exception) -> None:
        self._loop.call_exception_handler({"message": message, "exception": error})

    # What follows runs in the thread.

    def _run(self) -> None:
        try:
            while not self._closing:
                self._run_engine()
        except Exception as error:  # noqa: BLE001  # the thread's boundary: nobody else would see it
            self._closing = True
            self._call(self._fail, error)
        finally:
            self._call(self._end)

    def _run_engine(self) -> None:
        """Work until `close`, or until something breaks: that takes what is under way with it,
        answered, and the next engine goes on. With nothing under way it would break for ever.
        """
        engine = Engine(self._waker, self._policy, ca_file=self._ca_file)
        try:
            while not self._closing:
                self._turn(engine)
        except Exception as error:
            if not engine.unanswered():
                raise
            self._call(self._report, "the curl transport starts afresh", error)
        finally:
            self._deliver((done, _closed()) for done in engine.unanswered())
            engine.close()

    def _turn(self, engine: Engine) -> None:
        self._asleep = True  # before looking: what changes from here on writes to the waker
        idle = not self._inbox and engine.policy is self._policy
        events = engine.wait(block=idle)
        self._asleep = False
        engine.react(events)
        engine.restrict(self._policy)
        while self._inbox:
            request, done = self._inbox.popleft()
            engine.restrict(self._policy)  # now: what was sent behind a change goes by it
            engine.start(request, done)
        self._deliver(engine.collect())

    def _deliver(self, answers: Iterable[tuple[Done, Answer]]) -> None:
        self._outbox.extend(answers)
        if self._outbox and not self._answers_due:
            self._answers_due = True
            self._call(self._hand_out)

    def _call(self, callback: Callable[..., None], *args: object) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody is left to hear
            self._loop.call_soon_threadsafe(callback, *args)


def _closed() -> Answer:
    return Answer(error=ErrorKind.CONNECT, detail="the transport was closed")
