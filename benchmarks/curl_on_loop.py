"""The daemon's libcurl engine without its thread: what the thread is measured against."""

import asyncio
import os
from collections.abc import Callable

from consumer.delivery.curl_engine import Engine
from consumer.delivery.guard import Policy
from consumer.delivery.transport import Answer, Request


class CurlOnLoop:
    """The event loop waits for the engine's epoll, and does the engine's work between its own.

    It knows no timers: good for requests that are answered, which is all that is measured.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, policy: Policy, *, ca_file: str | None = None
    ) -> None:
        self._loop = loop
        self._waker = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._engine = Engine(self._waker, policy, ca_file=ca_file)
        # An epoll is itself a descriptor that is readable while one of its own is ready.
        self._ready = self._engine._sockets._epoll.fileno()  # noqa: SLF001  # nobody else needs it
        self._turn_due = False
        loop.add_reader(self._ready, self._turn)

    def send(self, request: Request, done: Callable[[Answer], None]) -> None:
        """Start an attempt; what is sent in one turn of the loop goes out together."""
        self._engine.start(request, done)
        if not self._turn_due:
            self._turn_due = True
            self._loop.call_soon(self._turn)

    def restrict(self, policy: Policy) -> None:
        """Go by `policy` from now on."""
        self._engine.restrict(policy)

    async def failure(self) -> str:
        """It does not fail on its own: what breaks, breaks the loop's callback."""
        never: asyncio.Future[str] = self._loop.create_future()
        return await never

    async def close(self) -> None:
        """Close every connection."""
        self._loop.remove_reader(self._ready)
        self._engine.close()
        os.close(self._waker)

    def _turn(self) -> None:
        self._turn_due = False
        self._engine.react(self._engine.wait(block=False))
        for done, answer in self._engine.collect():
            done(answer)
