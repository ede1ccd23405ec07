"""Stand-ins for what lies outside; each passes the contract suite of what it stands for."""

import asyncio
from collections.abc import Callable

from consumer.delivery.authorities import Authorities
from consumer.delivery.guard import Policy
from consumer.delivery.transport import Answer, Request
from consumer.reasons import ErrorKind

Script = Callable[[Request], Answer | None]
"""The answer to a request, or None: hold it until the test answers."""


class ScriptedTransport:
    """A Transport without a network."""

    def __init__(self, loop: asyncio.AbstractEventLoop, script: Script) -> None:
        self.sent: list[Request] = []
        """Everything, in order."""
        self.held: list[tuple[Request, Callable[[Answer], None]]] = []
        """What waits for `answer`."""
        self.policies: list[Policy] = []
        """Those of `restrict`, in order."""
        self._loop = loop
        self._script = script
        self._closed = False

    def send(self, request: Request, done: Callable[[Answer], None]) -> None:
        """See `Transport.send`."""
        self.sent.append(request)
        answer = _closed() if self._closed else self._script(request)
        if answer is None:
            self.held.append((request, done))
        else:
            self._loop.call_soon(done, answer)

    def answer(self, answer: Answer) -> Request:
        """Answer the request held longest, and return it."""
        request, done = self.held.pop(0)
        self._loop.call_soon(done, answer)
        return request

    def restrict(self, policy: Policy) -> None:
        """See `Transport.restrict`."""
        self.policies.append(policy)

    def trust(self, authorities: Authorities) -> None:
        """Nothing: there is no network."""

    async def failure(self) -> str:
        """See `Transport.failure`; nothing can break here."""
        never: asyncio.Future[str] = self._loop.create_future()
        return await never

    async def close(self) -> None:
        """See `Transport.close`."""
        self._closed = True
        while self.held:
            self.answer(_closed())
        await asyncio.sleep(0)  # let the loop run what was answered


def _closed() -> Answer:
    return Answer(error=ErrorKind.CONNECT, detail="the transport was closed")
