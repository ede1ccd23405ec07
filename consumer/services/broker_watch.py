"""Whether Kafka answers, known soon: no request waits long for a broker that is away."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from consumer.clock import Clock
from consumer.errors import HookstreamError
from consumer.services.topic_view import UnavailableError
from consumer.settings import KafkaSettings
from consumer.stream.client import translate_errors
from consumer.stream.reachable import ask_brokers

Require = Callable[[], Awaitable[None]]
"""See `BrokerWatch.require`."""

ANSWER_SECONDS: Final = 2.0
"""How long a request waits to learn whether Kafka answers."""
FRESH_SECONDS: Final = 2.0
"""How long an answer counts, and a failure half of it."""


class BrokerWatch:
    """Asks the brokers when it is asked itself, once for all requests of the same time."""

    def __init__(self, settings: KafkaSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._answered_at = float("-inf")
        """Monotonic seconds, as below."""
        self._began_at = float("-inf")
        self._failed_at = float("-inf")
        self._problem = ""
        self._asking: asyncio.Task[None] | None = None

    async def require(self) -> None:
        """Return if Kafka answers.

        Raises:
            UnavailableError: it does not, within `ANSWER_SECONDS`.
        """
        now = self._clock.monotonic()
        if now - self._answered_at < FRESH_SECONDS:
            return
        if now - self._failed_at < FRESH_SECONDS / 2:
            raise UnavailableError(self._problem)
        if self._asking is None or self._asking.done():
            self._began_at = now
            self._asking = asyncio.create_task(self._ask())
        await asyncio.wait([self._asking], timeout=max(0.0, self._began_at + ANSWER_SECONDS - now))
        if not self._asking.done():
            servers = ", ".join(self._settings.bootstrap_servers)
            raise UnavailableError(
                f"no Kafka broker at {servers} has answered within {ANSWER_SECONDS:.0f} s: "
                "look at the brokers, and try again"
            )
        if self._failed_at >= self._began_at:
            raise UnavailableError(self._problem)

    async def close(self) -> None:
        """Stop asking."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait([self._asking])

    async def _ask(self) -> None:
        try:
            async with translate_errors(self._settings):
                await ask_brokers(self._settings)
        except HookstreamError as error:
            self._problem, self._failed_at = str(error), self._clock.monotonic()
        else:
            self._answered_at = self._clock.monotonic()
