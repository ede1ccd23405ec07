"""What a hook under way is tried with: its check, an event, its request, a test send."""

from collections.abc import Mapping, Sequence
from typing import Any

from consumer.clock import Clock
from consumer.events.model import Event
from consumer.events.triggers import Trigger
from consumer.hooks.table import Hook
from consumer.services.event_input import decode_event, test_topic
from consumer.services.hooks import GIVEN, HookService
from consumer.services.samples import Sample, event_sample, template_sample
from consumer.services.test_sends import TestReport, TestSends
from consumer.settings import Settings


class ServiceTrials:
    """Trials of one installation. Each call raises `HookstreamError`."""

    def __init__(
        self, settings: Settings, hooks: HookService, tests: TestSends, clock: Clock
    ) -> None:
        self._settings = settings
        self._hooks = hooks
        self._tests = tests
        self._clock = clock

    def check(self, definition: object) -> Hook:
        """The hook of a definition. Raises `ConfigError` with its problems."""
        return self._hooks.check(definition)

    def event(self, text: str, trigger: Trigger) -> Event:
        """The event that a person wrote as JSON. Raises `UndecodableError`."""
        return decode_event(text.encode(), trigger, self._settings, self._clock, test_topic())

    def curl(self, hook: Hook, event: Event | None) -> str:
        """The request as a command without secrets; without an event with placeholders. Raises
        `NoRequestError`.
        """
        settings = self._settings
        if event is None:
            return template_sample(hook, settings, reveal=False).curl(settings)
        now = self._clock.now()
        return event_sample(hook, event, settings, now, reveal=False).curl(settings)

    def request(self, hook: Hook, event: Event, at: float) -> Sample:
        """The request of an event as it was sent at `at` (epoch seconds), without secrets. Raises
        `NoRequestError`.
        """
        return event_sample(hook, event, self._settings, at, reveal=False)

    async def send(
        self, definition: Mapping[str, Any], event: Event, secrets: Sequence[str]
    ) -> TestReport:
        """Send a test; `secrets`: texts of the definition that are not shown."""
        return await self._tests.send(definition, GIVEN, lambda _: event, secrets)
