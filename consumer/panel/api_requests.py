"""The API's routes about requests: as `curl` commands, and sent now."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from consumer.clock import Clock
from consumer.delivery.http.transport import AttemptResult
from consumer.events.model import Event
from consumer.events.triggers import Trigger
from consumer.hooks.table import Hook
from consumer.matching.explain import explain
from consumer.panel import models
from consumer.panel.inputs import event_bytes, refuse_unkept
from consumer.panel.problems import invalid, invalid_field
from consumer.panel.routes import Answer, Call, Route
from consumer.records.record import UndecodableError
from consumer.services.event_input import decode_event, test_topic
from consumer.services.hooks import GIVEN, HookService
from consumer.services.samples import event_sample, template_sample
from consumer.services.test_sends import TEST_SECONDS, TestSends
from consumer.settings import Settings


class RequestsApi:
    """Handlers about requests."""

    def __init__(
        self, settings: Settings, hooks: HookService, tests: TestSends, clock: Clock
    ) -> None:
        self._settings = settings
        self._hooks = hooks
        self._tests = tests
        self._clock = clock

    def routes(self) -> list[Route]:
        """The routes of these handlers."""
        return [
            Route(
                "POST", "/hooks:sample", "viewer", "Show a request as a curl command",
                {HTTPStatus.OK: models.Sample}, self.sample, (HTTPStatus.NOT_FOUND,),
                body=models.SampleBody,
            ),
            Route(
                "POST", "/hooks:test", "editor", "Send one delivery now",
                {HTTPStatus.OK: models.TestResult}, self.test, (HTTPStatus.NOT_FOUND,),
                body=models.TestBody, seconds=TEST_SECONDS,
            ),
        ]  # fmt: skip

    async def sample(self, call: Call) -> Answer:
        """A request as a command."""
        wanted: models.SampleBody = call.body
        hook = await checked_hook(self._hooks, wanted)
        stopped = None
        if wanted.event is None:
            sample = template_sample(hook, self._settings, reveal=False)
        else:
            event = parse_event(wanted.event, hook.trigger, self._settings, self._clock)
            now = self._clock.now()
            sample = event_sample(hook, event, self._settings, now, reveal=False)
            stopped = _stopped(hook, event)
        found = models.Sample(
            curl=sample.curl(self._settings),
            url=sample.url,
            headers=list(sample.headers),
            stopped=stopped,
        )
        return Answer(found)

    async def test(self, call: Call) -> Answer:
        """Send one delivery."""
        wanted: models.TestBody = call.body
        definition, name = await self._definition(wanted)

        def event_of(trigger: Trigger) -> Event:
            return parse_event(wanted.event, trigger, self._settings, self._clock, test_topic())

        done = await self._tests.send(definition, name, event_of)
        result = done.sent.result
        return Answer(
            models.TestResult(
                delivery=done.sent.delivery_id,
                status=result.status or None,
                error=result.error,
                detail=result.detail or None,
                delivered=done.sent.delivered,
                consequence=done.sent.consequence,
                stopped=done.stopped or None,
                ms=_phases(result),
                answer=done.answer,
                answer_is_cut=done.sent.is_cut,
                location=done.location or None,
            )
        )

    async def _definition(self, wanted: models.AboutHook) -> tuple[Mapping[str, Any], str]:
        """The definition that is meant, and what stands in place of its file."""
        if wanted.definition is not None:
            return await _given(self._hooks, wanted.definition), GIVEN
        entry = await self._hooks.reader.get(wanted.hook or "")
        if entry.definition is None:
            raise invalid_field("hook", f"has no definition: {entry.problem}", "write it again")
        return entry.definition, entry.file or f"revision {entry.revision}"


async def checked_hook(hooks: HookService, wanted: models.AboutHook) -> Hook:
    """The hook that is meant, without its secrets.

    Raises:
        Problem: it is refused.
        HookstreamError: there is none.
    """
    if wanted.definition is not None:
        return hooks.check(await _given(hooks, wanted.definition))
    entry = await hooks.reader.get(wanted.hook or "")
    if entry.hook is None:
        raise invalid_field("hook", f"is refused: {entry.problem}", "correct its definition")
    return entry.hook


async def _given(hooks: HookService, definition: dict[str, Any]) -> Mapping[str, Any]:
    """A definition that a body has. Raises `Problem` or `ConfigError`."""
    return await hooks.with_secrets(refuse_unkept(definition, GIVEN))


def parse_event(
    event: Mapping[str, Any], trigger: Trigger, settings: Settings, clock: Clock, topic: str = ""
) -> Event:
    """The event of a body; `topic`: see `decode_event`. Raises `Problem`."""
    try:
        return decode_event(event_bytes(event), trigger, settings, clock, topic)
    except UndecodableError as error:
        raise invalid(f"the event cannot be decoded: {error}") from None


def _stopped(hook: Hook, event: Event) -> str | None:
    return explain(hook, event).detail or None


def _phases(result: AttemptResult) -> models.Phases:
    dns, connect, tls, first_byte = (
        microseconds / 1000 or None for microseconds in result.phases or (0, 0, 0, 0)
    )
    return models.Phases(
        dns=dns,
        connect=connect,
        tls=tls,
        first_byte=first_byte,
        all=round(result.duration * 1000, 3),
    )
