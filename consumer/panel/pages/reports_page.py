"""Reports: counts, rates and percentiles by hook and time, as charts, tables and CSV."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final

from consumer.background import in_thread
from consumer.errors import ConfigError
from consumer.journal.report_sums import HOUR_SECONDS, PERCENTILES, Report, Step
from consumer.metrics.hooks import STATUSES
from consumer.panel.pages.data import Data
from consumer.panel.pages.day_reports import PATIENCE_SECONDS, DayReports, LastDay
from consumer.panel.pages.figures import report_figures
from consumer.panel.pages.formats import iso
from consumer.panel.pages.render import url
from consumer.panel.pages.visit import Download, PageRoute, Result, Shown, Visit
from consumer.reasons import Reason
from consumer.services.reports import DEFAULT_SINCE, REPORT_FILTERS, parse

PATH: Final = "/reports"
CSV_PATH: Final = "/reports.csv"
TIMES: Final = ("24h", "7d", "30d")
SHOWN_HOOKS: Final = 50
"""The busiest ones; the CSV has all."""
_QUERY: Final = frozenset(REPORT_FILTERS)
_DAY: Final = {"since": DEFAULT_SINCE, "step": str(Step.HOUR)}
"""A query of the last day, which is kept."""
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


class ReportsPage:
    """`/reports` and `/reports.csv`."""

    def __init__(self, data: Data, day: DayReports) -> None:
        self._data = data
        self._day = day

    def routes(self) -> list[PageRoute]:
        """The routes of this page."""
        return [
            PageRoute("GET", PATH, self.show, "reports", query=_QUERY),
            PageRoute("GET", CSV_PATH, self.download, "reports", query=_QUERY),
        ]

    async def show(self, visit: Visit) -> Result:
        """Charts and tables."""
        query, problems, found = visit.query, {}, None
        try:
            found = await self._found(query, visit.now)
        except ConfigError as error:
            problems = {one.field: one for one in error.diagnostics}
        return Shown(
            "reports.html",
            {
                "query": query,
                "problems": problems,
                "figures": found.figures if found is not None else None,
                "exists": found is not None and found.exists,
                "is_counting": found is None and not problems,
                "counted": counted(found, query, visit.now) if found is not None else None,
                "times": TIMES,
                "default_since": DEFAULT_SINCE,
                "steps": tuple(Step),
                "shown_hooks": SHOWN_HOOKS,
                "csv": url(CSV_PATH, **query),
            },
        )

    async def _found(self, query: Mapping[str, str], now: float) -> LastDay | None:
        """The reports of a query; of the last day by the hour those that are kept, and None if
        there are none yet.

        Raises `ConfigError`, and `UnavailableError` if there are none since Kafka is away.
        """
        if _DAY.items() >= {name: text for name, text in query.items() if name != "hook"}.items():
            day = await self._day.figures(query.get("hook"), PATIENCE_SECONDS)
            if day is None:
                await self._data.require_broker()
            return day
        found = await self._data.reports(query)
        step = Step(query.get("step", Step.HOUR))
        figures = await in_thread(partial(report_figures, found.reports, step))
        return LastDay({}, figures, found.exists, now)

    async def download(self, visit: Visit) -> Result:
        """Every report as a line of CSV."""
        found = await self._data.reports(visit.query)
        return Download(
            "reports.csv",
            "text/csv; charset=utf-8",
            await in_thread(partial(csv_of, found.reports)),
        )


@dataclass(frozen=True, slots=True)
class Counted:
    """Up to when reports count."""

    until: float
    """Epoch seconds."""
    is_whole: bool
    """Whether the last step that is shown is over."""


def counted(found: LastDay, query: Mapping[str, str], now: float) -> Counted:
    """Up to when the reports of a query count. Counts are kept by hours, so the hour in which
    `until` lies counts as a whole. Raises `ConfigError`.
    """
    wanted, step = parse({name: query[name] for name in query if name != "hook"}, now)
    until = found.read_at
    if wanted.until is not None:
        until = min(until, wanted.until + -wanted.until % HOUR_SECONDS)
    rows = found.figures.rows
    return Counted(until, not rows or rows[-1].start + step.seconds <= until)


def csv_of(reports: Sequence[Report]) -> bytes:
    """Reports as CSV: numbers with a point, times in RFC 3339, percentiles in milliseconds."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(
        [
            "hook", "start", "delivered", "retried", "overflowed",
            *(f"dead_lettered_{reason}" for reason in Reason),
            *(f"attempts_{status}" for status in STATUSES),
            *(f"p{share * 100:g}_ms" for share in PERCENTILES),
        ]
    )  # fmt: skip
    writer.writerows(map(_line, reports))
    return text.getvalue().encode()


def _line(report: Report) -> list[str]:
    times = [report.percentiles.get(share) for share in PERCENTILES]
    return [
        _cell(report.hook),
        iso(datetime.fromtimestamp(report.start, UTC)),
        str(report.delivered),
        str(report.retried),
        str(report.overflowed),
        *(str(report.dead_lettered.get(reason, 0)) for reason in Reason),
        *(str(report.attempts.get(status, 0)) for status in STATUSES),
        *("" if one is None else f"{one * 1000:.3f}" for one in times),
    ]


def _cell(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text
