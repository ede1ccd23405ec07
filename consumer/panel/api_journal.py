"""The API's routes about what happened: deliveries and reports."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from functools import partial
from http import HTTPStatus
from typing import Final

from pydantic import BaseModel

from consumer.background import in_thread
from consumer.clock import Clock
from consumer.journal.log_filter import LogFilter
from consumer.journal.log_search import FoundDelivery, Horizon, Progress, SearchBounds
from consumer.journal.report_reader import Reports
from consumer.panel import journal_models as models
from consumer.panel.credentials import Identity
from consumer.panel.problems import Problem
from consumer.panel.routes import Answer, Call, Route, Stream
from consumer.services import reports as report_service
from consumer.services.deliveries import (
    UNKNOWN_HOOK,
    delivery_facts,
    horizon_facts,
    make_deliveries,
)
from consumer.services.hook_reader import HookReader
from consumer.services.report_reads import ReportReads
from consumer.services.times import rfc3339
from consumer.settings import Settings

SEARCH_SECONDS: Final = 15.0
"""Of a search whose answer comes at its end; the cursor goes on."""
_LINES_SECONDS: Final = 600.0
"""Of one whose lines come as they are found."""
_SEES_USERS: Final = "editor"
"""The least role that may tell the deliveries of one user from others."""


class JournalApi:
    """Handlers about what happened."""

    def __init__(
        self, settings: Settings, hooks: HookReader, reports: ReportReads, clock: Clock
    ) -> None:
        self._reports = reports
        self._require = hooks.require
        self._knows_hook = hooks.knows
        self._clock = clock
        self._deliveries = make_deliveries(settings, clock)

    def routes(self) -> list[Route]:
        """The routes of these handlers."""
        return [
            Route(
                "GET", "/deliveries", "viewer", "Search the delivery log, the newest first",
                {HTTPStatus.OK: models.Deliveries}, self.deliveries,
                query=models.DeliveriesQuery, stream=self.lines, line=models.DeliveryLine,
            ),
            Route(
                "GET", "/reports", "viewer", "Counts, rates and percentiles by hook and time",
                {HTTPStatus.OK: models.Reports}, self.reports, query=models.ReportsQuery,
            ),
        ]  # fmt: skip

    async def deliveries(self, call: Call) -> Answer:
        """A page of the delivery log."""
        query: models.DeliveriesQuery = call.query
        wanted = self._deliveries.parse(_filters(call))
        await self._require()
        page = await self._deliveries.page(
            wanted,
            limit=query.limit,
            cursor=query.cursor,
            bounds=SearchBounds(seconds=SEARCH_SECONDS),
        )
        return Answer(
            models.Deliveries(
                deliveries=[_delivery(one, call.who) for one in page.deliveries],
                horizon=models.Horizon(**horizon_facts(page.horizon)),
                note=await self._note(wanted),
            )
        )

    def lines(self, call: Call) -> Stream:
        """What is found, as it is found."""
        return Stream(self._lines(call))

    async def _lines(self, call: Call) -> AsyncGenerator[BaseModel, None]:
        query: models.DeliveriesQuery = call.query
        wanted = self._deliveries.parse(_filters(call))
        await self._require()
        steps = self._deliveries.search(
            wanted,
            limit=query.limit,
            cursor=query.cursor,
            bounds=SearchBounds(seconds=_LINES_SECONDS),
        )
        async with aclosing(steps):
            async for step in steps:
                note = await self._note(wanted) if isinstance(step, Horizon) else None
                yield _line(step, call.who, note)

    async def _note(self, wanted: LogFilter) -> str | None:
        """What is to be known beside the rows."""
        is_known = wanted.hook is None or await self._knows_hook(wanted.hook)
        return None if is_known else UNKNOWN_HOOK

    async def reports(self, call: Call) -> Answer:
        """Counts by hook and time."""
        values = call.query.model_dump(exclude_none=True)
        wanted, step = report_service.parse(values, self._clock.now())
        found = await self._reports.read(wanted, step)
        return Answer(await in_thread(partial(_reports, found)))


def _reports(found: Reports) -> models.Reports:
    reports = [models.Report(**report_service.report_facts(one)) for one in found.reports]
    return models.Reports(reports=reports, exists=found.exists, passed_over=found.passed_over)


def _filters(call: Call) -> Mapping[str, str]:
    """The filters of a search. Raises `Problem` if this user may not use one."""
    query: models.DeliveriesQuery = call.query
    if query.user is not None and not call.who.may(_SEES_USERS):
        raise Problem(HTTPStatus.FORBIDDEN, "forbidden", call.who.refusal(_SEES_USERS))
    return query.model_dump(exclude_none=True, exclude={"cursor", "limit"})


def _delivery(found: FoundDelivery, identity: Identity) -> models.Delivery:
    facts = delivery_facts(found)
    if not identity.may(_SEES_USERS):
        facts["user"] = None
    return models.Delivery(**facts)


def _line(
    step: FoundDelivery | Progress | Horizon, identity: Identity, note: str | None
) -> models.DeliveryLine:
    match step:
        case FoundDelivery():
            return models.DeliveryLine(delivery=_delivery(step, identity))
        case Horizon():
            return models.DeliveryLine(horizon=models.Horizon(**horizon_facts(step)), note=note)
        case Progress():
            progress = models.SearchProgress(
                records=step.records, searched_to=rfc3339(step.searched_to)
            )
            return models.DeliveryLine(progress=progress)
