"""The API's routes about dead letters."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from http import HTTPStatus
from typing import Any, Final

from pydantic import BaseModel

from consumer.clock import Clock
from consumer.errors import HookstreamError, InvalidValue
from consumer.panel import system_models as models
from consumer.panel.journal_models import Horizon
from consumer.panel.problems import Problem, invalid_field
from consumer.panel.routes import Answer, Call, Route, Stream
from consumer.services.dead_letter_reads import DeadLetterReads
from consumer.services.dead_letters import (
    Counted,
    DeadLetterPage,
    Replay,
    choose,
    facts,
)
from consumer.services.deliveries import horizon_facts
from consumer.services.times import rfc3339
from consumer.settings import Settings
from consumer.stream.dead_letters import DeadLetterRecord, Selection
from consumer.stream.replay import Plan

_LIST_SECONDS: Final = 15.0
"""Of a search; the cursor goes on."""
_COUNT_SECONDS: Final = 15.0
_REPLAY_SECONDS: Final = 3600.0


class DeadLettersApi:
    """Handlers about dead letters."""

    def __init__(self, settings: Settings, reads: DeadLetterReads, clock: Clock) -> None:
        self._settings = settings
        self._reads = reads
        self._clock = clock

    def routes(self) -> list[Route]:
        """The routes of these handlers."""
        return [
            Route(
                "GET", "/dead-letters", "viewer", "List the newest dead letters, and count all",
                {HTTPStatus.OK: models.DeadLetters}, self.list, query=models.DeadLettersQuery,
            ),
            Route(
                "POST", "/dead-letters:replay", "operator", "Send dead letters again",
                {HTTPStatus.OK: models.Replayed}, self.replay, (HTTPStatus.CONFLICT,),
                body=models.ReplayBody, stream=self.replay_with_progress, line=models.Replayed,
                seconds=_REPLAY_SECONDS,
            ),
        ]  # fmt: skip

    async def list(self, call: Call) -> Answer:
        """A page of the dead letters of a filter."""
        query: models.DeadLettersQuery = call.query
        selection = self._selection(query.hook, query.reason, query.since)
        if not query.count or query.cursor is not None:
            page = await self._reads.page(
                selection, limit=query.limit, cursor=query.cursor, seconds=_LIST_SECONDS
            )
            return Answer(_listed(selection, page, None))
        page, counted = await self._reads.page_and_counts(
            selection, limit=query.limit, seconds=_LIST_SECONDS, count_seconds=_COUNT_SECONDS,
            again=query.again,
        )  # fmt: skip
        return Answer(_listed(selection, page, counted))

    async def replay(self, call: Call) -> Answer:
        """Send dead letters again; the answer comes at the end."""
        last = models.Replayed(sent=0, total=0, done=True)
        async with aclosing(self._replay(call)) as lines:
            async for line in lines:
                last = line
        return Answer(last)

    def replay_with_progress(self, call: Call) -> Stream:
        """Send dead letters again; the number that are sent comes as it rises."""
        return Stream(self._replay(call))

    async def _replay(self, call: Call) -> AsyncGenerator[Any, None]:
        """Yield what is sent so far, at last with `done`. If the client goes away, it ends behind a
        batch; the same request goes on.
        """
        wanted: models.ReplayBody = call.body
        selection = self._selection(wanted.hook, wanted.reason, wanted.since)
        replay = Replay(
            self._settings, selection, limit=wanted.limit, again=wanted.again, by=call.who.name
        )
        plan = await self._reads.plan(replay)
        if plan.total != wanted.expected:
            raise _other_count(plan, wanted.expected)
        stop, batches = asyncio.Event(), asyncio.Queue[int | None]()
        sending = asyncio.create_task(
            replay.send(plan, stopped=stop.is_set, advanced=batches.put_nowait)
        )
        sending.add_done_callback(lambda _: batches.put_nowait(None))
        sent = 0
        try:
            while (count := await batches.get()) is not None:
                sent += count
                yield models.Replayed(sent=sent, total=plan.total, done=False)
            sent = await sending
        finally:
            stop.set()
            with suppress(HookstreamError):
                await sending
        yield models.Replayed(sent=sent, total=plan.total, done=True)

    def _selection(self, hook: str | None, reason: str | None, since: str | None) -> Selection:
        try:
            return choose(hook, reason, since, self._clock)
        except InvalidValue as error:
            raise invalid_field(str(error.path[0]), error.message, error.hint) from None


def _other_count(plan: Plan, expected: int) -> Problem:
    return Problem(
        HTTPStatus.CONFLICT,
        "count",
        f"{plan.total:,} dead letters would be sent, and {expected:,} were expected: look again",
        count=plan.total,
    )


def _listed(selection: Selection, page: DeadLetterPage, counted: Counted | None) -> BaseModel:
    since = selection.since
    return models.DeadLetters(
        dead_letters=[_dead_letter(one) for one in page.dead_letters],
        horizon=Horizon(**horizon_facts(page.horizon)),
        since=rfc3339(since / 1000) if since is not None else None,
        total=counted.counts.total() if counted is not None else None,
        counts=[
            models.DeadLetterCount(hook=hook, reason=reason, count=count)
            for (hook, reason), count in (counted.counts.most_common() if counted else ())
        ],
        replayable=_replayable(counted.plan) if counted is not None else None,
        others=dict(page.others),
    )


def _replayable(plan: Plan | None) -> models.Replayable:
    return models.Replayable(
        count=plan.total if plan is not None else 0,
        sent_before=plan.sent_before if plan is not None else 0,
        not_replayable=dict(plan.not_replayable) if plan is not None else {},
    )


def _dead_letter(found: DeadLetterRecord) -> models.DeadLetter:
    """A dead letter without its key, which may name a user."""
    known = {"hook": None, "reason": None, "attempts": None, **facts(found)}
    known["delivery"] = known.pop("delivery_id", None)
    known.pop("key")
    fields = models.DeadLetter.model_fields
    return models.DeadLetter(**{name: known.get(name) for name in fields})
