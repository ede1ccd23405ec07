"""The API's routes about requests: as `curl` commands, and sent now."""

import asyncio
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

import orjson

from consumer.clock import Clock
from consumer.delivery.http.transport import AttemptResult
from consumer.events.model import Event
from consumer.events.triggers import Trigger
from consumer.hooks.load_context import LoadContext
from consumer.hooks.loading import load_definition
from consumer.hooks.table import Hook
from consumer.matching.explain import explain
from consumer.panel import models
from consumer.panel.inputs import event_bytes, refuse_unkept
from consumer.panel.problems import Problem, invalid, invalid_field
from consumer.panel.routes import Answer, Call, Route
from consumer.records.record import UndecodableError
from consumer.services.event_input import decode_event, test_topic
from consumer.services.hooks import GIVEN, HookService
from consumer.services.requests import TestAuthorities, send_now
from consumer.services.samples import event_sample, template_sample
from consumer.settings import Settings

MAX_TESTS: Final = 8
"""Test sends that are under way at a time."""
NOT_SHOWN: Final = "[not shown: the hook has a sealed secret, which the receiver may have repeated]"
_TEST_SECONDS: Final = 330.0
"""More than any attempt may take by its settings."""


class RequestsApi:
    """Handlers about requests."""

    def __init__(
        self,
        settings: Settings,
        hooks: HookService,
        new_context: Callable[[], LoadContext],
        clock: Clock,
    ) -> None:
        """`new_context`: see `Panel`."""
        self._settings = settings
        self._hooks = hooks
        self._new_context = new_context
        self._clock = clock
        self._authorities = TestAuthorities(settings.network.ca_file)
        self._under_way = 0

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
                body=models.TestBody, seconds=_TEST_SECONDS,
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
        if self._under_way >= MAX_TESTS:
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE, "busy", "too many test sends are under way",
                headers={"Retry-After": "5"},
            )  # fmt: skip
        self._under_way += 1
        try:
            return Answer(await self._test(call.body))
        finally:
            self._under_way -= 1

    async def _test(self, wanted: models.TestBody) -> models.TestResult:
        context = self._new_context()
        definition, name = await self._definition(wanted)
        hook = await asyncio.to_thread(load_definition, definition, context, name)
        event = parse_event(wanted.event, hook.trigger, self._settings, self._clock, test_topic())
        secrets = context.secrets.values()
        sent = await send_now(
            hook, event, self._settings, self._clock, authorities=self._authorities, secrets=secrets
        )
        result = sent.result
        return models.TestResult(
            delivery=sent.delivery_id,
            status=result.status or None,
            error=result.error,
            detail=result.detail or None,
            delivered=sent.delivered,
            consequence=sent.consequence,
            stopped=_stopped(hook, event),
            ms=_phases(result),
            answer=NOT_SHOWN if b"${sealed:" in orjson.dumps(definition) else sent.answer,
            answer_is_cut=sent.is_cut,
        )

    async def _definition(self, wanted: models.AboutHook) -> tuple[Mapping[str, Any], str]:
        """The definition that is meant, and what stands in place of its file."""
        if wanted.definition is not None:
            return refuse_unkept(wanted.definition, GIVEN), GIVEN
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
        return hooks.check(refuse_unkept(wanted.definition, GIVEN))
    entry = await hooks.reader.get(wanted.hook or "")
    if entry.hook is None:
        raise invalid_field("hook", f"is refused: {entry.problem}", "correct its definition")
    return entry.hook


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
