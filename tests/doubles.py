"""Stand-ins for what lies outside; each passes the contract suite of what it stands for."""

import asyncio
from collections.abc import Callable

from consumer.delivery.egress.guard import EgressPolicy
from consumer.delivery.http.authorities import Authorities
from consumer.delivery.http.transport import AttemptResult, Request
from consumer.reasons import ErrorKind

Script = Callable[[Request], AttemptResult | None]
"""The answer to a request, or None: hold it until the test answers."""


class ScriptedTransport:
    """A Transport without a network."""

    def __init__(self, loop: asyncio.AbstractEventLoop, script: Script) -> None:
        self.sent: list[Request] = []
        """Everything, in order."""
        self.held: list[tuple[Request, Callable[[AttemptResult], None]]] = []
        """What waits for `answer`."""
        self.policies: list[EgressPolicy] = []
        """Those of `set_policy`, in order."""
        self._loop = loop
        self._script = script
        self._closed = False

    def send(self, request: Request, done: Callable[[AttemptResult], None]) -> None:
        """See `Transport.send`."""
        self.sent.append(request)
        answer = _closed() if self._closed else self._script(request)
        if answer is None:
            self.held.append((request, done))
        else:
            self._loop.call_soon(done, answer)

    def answer(self, answer: AttemptResult) -> Request:
        """Answer the request held longest, and return it."""
        request, done = self.held.pop(0)
        self._loop.call_soon(done, answer)
        return request

    def keep_idle(self, connections: int) -> None:
        """Nothing: there are no connections."""

    def set_policy(self, policy: EgressPolicy) -> None:
        """See `Transport.set_policy`."""
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


def _closed() -> AttemptResult:
    return AttemptResult(error=ErrorKind.CONNECT, detail="the transport was closed")
