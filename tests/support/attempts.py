"""Short words for tests that send requests through a Transport."""

import asyncio
from pathlib import Path
from typing import Protocol

from consumer.delivery.egress.guard import EgressPolicy
from consumer.delivery.http.authorities import Authorities, read_authorities
from consumer.delivery.http.transport import AttemptResult, Request, Transport

LOOPBACK = EgressPolicy.of(allow=["127.0.0.0/8", "::1/128"])
"""Lets the receivers of tests through the guard."""


class Opener(Protocol):
    """Makes a transport, to be closed after the test."""

    def __call__(self, ca_file: str | None = None, policy: EgressPolicy = LOOPBACK) -> Transport:
        """Open a transport that trusts the authorities in this file, or none."""
        ...


def trusting(ca_file: str | None = None) -> Authorities:
    """The authorities in the file; none without one."""
    return read_authorities(Path(ca_file)) if ca_file is not None else Authorities(b"")


PATIENCE = 15.0
"""Seconds that a test waits for an answer that is sure to come."""


def get(url: str, *headers: bytes, timeout: float = 10.0, connect: float = 10.0) -> Request:
    """A GET request; times in seconds."""
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return Request(f"{scheme}://{host}", slash + path, list(headers), timeout, connect)


class Attempt:
    """A request on its way, with every answer that came: there must be exactly one."""

    def __init__(self, transport: Transport, request: Request) -> None:
        self.answers: list[AttemptResult] = []
        self._answered = asyncio.Event()
        transport.send(request, self._done)

    async def answer(self) -> AttemptResult:
        """Wait for the answer."""
        async with asyncio.timeout(PATIENCE):
            await self._answered.wait()
        return self.answers[0]

    def _done(self, answer: AttemptResult) -> None:
        asyncio.get_running_loop()  # raises on any thread but the loop's
        self.answers.append(answer)
        self._answered.set()


async def answer_of(transport: Transport, request: Request) -> AttemptResult:
    """Send a request and wait for its answer."""
    return await Attempt(transport, request).answer()
