"""Test sends of one process: a definition with its secrets, an event, and few at a time."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from consumer.clock import Clock
from consumer.events.model import Event
from consumer.events.triggers import Trigger
from consumer.hooks.load_context import LoadContext
from consumer.hooks.loading import load_definition
from consumer.matching.explain import explain
from consumer.services.requests import TestAuthorities, TestSend, send_now
from consumer.services.topic_view import BusyError
from consumer.settings import Settings

MAX_TESTS: Final = 8
"""Test sends that are under way at a time."""
TEST_SECONDS: Final = 330.0
"""More than any attempt may take by its settings."""
NOT_SHOWN: Final = "[not shown: the hook has a sealed secret, which the receiver may have repeated]"


@dataclass(frozen=True, slots=True)
class TestReport:
    """What became of a test send."""

    sent: TestSend
    stopped: str
    """Why the daemon would not send it; empty: it would."""
    answer: str
    """The beginning of the answer as printable text, as far as it may be shown."""
    location: str
    """Where the answer redirects, likewise; empty: nowhere."""


class TestSends:
    """Sends tests by the daemon's own request code, guard and transport."""

    def __init__(
        self, settings: Settings, new_context: Callable[[], LoadContext], clock: Clock
    ) -> None:
        """`new_context` makes the contexts in which definitions are loaded, with their secrets."""
        self._settings = settings
        self._new_context = new_context
        self._clock = clock
        self._authorities = TestAuthorities(settings.network.ca_file)
        self._under_way = 0

    async def send(
        self,
        definition: Mapping[str, Any],
        name: str,
        event_of: Callable[[Trigger], Event],
        secrets: Iterable[str] = (),
    ) -> TestReport:
        """Send one delivery. `name` stands in place of the definition's file; `event_of` makes the
        event of the definition's trigger; `secrets`: texts of the definition that are hidden if the
        answer repeats them, beside those of references.

        Raises:
            BusyError: too many are under way.
            HookstreamError: the definition is refused, or makes no request of the event.
        """
        if self._under_way >= MAX_TESTS:
            raise BusyError("too many test sends are under way: try it again in a few seconds")
        self._under_way += 1
        try:
            context = self._new_context()
            hook = await asyncio.to_thread(load_definition, definition, context, name)
            event = event_of(hook.trigger)
            known = [*context.secrets.values(), *secrets]
            sent = await send_now(
                hook, event, self._settings, self._clock, authorities=self._authorities,
                secrets=known,
            )  # fmt: skip
        finally:
            self._under_way -= 1
        is_sealed = b"${sealed:" in orjson.dumps(definition)
        answer, location = (
            NOT_SHOWN if is_sealed and text else text for text in (sent.answer, sent.location)
        )
        return TestReport(sent, explain(hook, event).detail, answer, location)
