"""Reports as a page shows them: sums, series and shares; it is pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from consumer.journal.report_sums import HOUR_SECONDS, Report, Step
from consumer.panel.pages.charts import Box, Chart, lines, stacked_bars
from consumer.services.last_day import DAY_HOURS, hour_of_day

SMALL_BOX: Final = Box(0, 0, 120, 24)
WIDE_BOX: Final = Box(52, 10, 900, 180)
LATELY_HOURS: Final = 2
"""The hours by which a hook is judged, if it was at work in them: this one may have just begun."""
_MAX_STEPS: Final = 31 * 24


@dataclass(slots=True)
class Figures:
    """The counts of some reports together."""

    delivered: int = 0
    retried: int = 0
    overflowed: int = 0
    dead_lettered: Counter[str] = field(default_factory=Counter)
    attempts: Counter[str] = field(default_factory=Counter)

    def add(self, report: Report) -> None:
        """Count a report in."""
        self.delivered += report.delivered
        self.retried += report.retried
        self.overflowed += report.overflowed
        self.dead_lettered.update(report.dead_lettered)
        self.attempts.update(report.attempts)

    @property
    def attempt_count(self) -> int:
        """All attempts."""
        return self.attempts.total()

    @property
    def given_up(self) -> int:
        """All dead letters."""
        return self.dead_lettered.total()

    @property
    def failed(self) -> int:
        """Attempts that were not answered with 2xx."""
        return self.attempt_count - self.attempts["2xx"]

    @property
    def error_share(self) -> float | None:
        """The share of the attempts that were not answered with 2xx; None without attempts."""
        count = self.attempt_count
        return self.failed / count if count else None


@dataclass(frozen=True, slots=True)
class Day:
    """The last 24 hours of one hook."""

    figures: Figures
    chart: Chart
    """Delivered, and behind it what was not, by the hour."""
    since: float
    """Epoch seconds at which the first of the hours begins."""
    lately: Figures
    """Of this hour and the one before."""
    lately_since: float
    """Epoch seconds at which the hour before begins."""


def days(reports: Iterable[Report], now: float, box: Box = SMALL_BOX) -> Mapping[str, Day]:
    """The last 24 hours of each hook that was at work; `now`: epoch seconds."""
    by_hook: dict[str, list[Report]] = {}
    for report in reports:
        by_hook.setdefault(report.hook, []).append(report)
    return {hook: _day(found, now, box) for hook, found in by_hook.items()}


def no_day(now: float) -> Day:
    """The last 24 hours of a hook that was not at work."""
    return _day([], now, SMALL_BOX)


def _day(reports: Sequence[Report], now: float, box: Box) -> Day:
    figures, lately = Figures(), Figures()
    good, bad = [0.0] * DAY_HOURS, [0.0] * DAY_HOURS
    for report in reports:
        index = hour_of_day(report.start, now)
        if index is None:
            continue
        figures.add(report)
        if index >= DAY_HOURS - LATELY_HOURS:
            lately.add(report)
        good[index] += report.attempts.get("2xx", 0)
        bad[index] += report.attempt_count - report.attempts.get("2xx", 0)
    end = now - now % HOUR_SECONDS + HOUR_SECONDS
    return Day(
        figures,
        stacked_bars([good, bad], box),
        end - DAY_HOURS * HOUR_SECONDS,
        lately,
        end - LATELY_HOURS * HOUR_SECONDS,
    )


@dataclass(frozen=True, slots=True)
class StepRow:
    """One step of a report, all chosen hooks together."""

    start: float
    """Epoch seconds."""
    figures: Figures
    percentiles: Mapping[float, float] | None
    """Seconds; None: there were no attempts, or several hooks, whose times cannot be put together.
    """


@dataclass(frozen=True, slots=True)
class ReportFigures:
    """Everything that the page of reports shows."""

    total: Figures
    rows: Sequence[StepRow]
    """By time, steps without a report among them."""
    by_hook: Sequence[tuple[str, Figures, Mapping[float, float]]]
    """The busiest first, with the percentiles of the newest step that has any."""
    outcomes: Chart
    """Delivered, retried, overflowed, given up."""
    times: Chart | None
    """p50, p95, p99 in milliseconds; None for several hooks."""
    step: Step


def report_figures(reports: Sequence[Report], step: Step) -> ReportFigures:
    """Sums and charts of reports."""
    total = Figures()
    hooks: dict[str, Figures] = {}
    newest: dict[str, Mapping[float, float]] = {}
    steps: dict[float, list[Report]] = {}
    for report in sorted(reports, key=lambda one: one.start):
        total.add(report)
        hooks.setdefault(report.hook, Figures()).add(report)
        newest[report.hook] = report.percentiles or newest.get(report.hook, {})
        steps.setdefault(report.start, []).append(report)
    rows = [_row(start, steps.get(start, ())) for start in _starts(steps, step)]
    by_hook = sorted(hooks.items(), key=lambda one: (-one[1].attempt_count, one[0]))
    return ReportFigures(
        total,
        rows,
        [(hook, figures, newest[hook]) for hook, figures in by_hook],
        _outcomes(rows),
        _times(rows) if len(hooks) == 1 else None,
        step,
    )


def _starts(steps: Iterable[float], step: Step) -> list[float]:
    """All steps between the first and the last, as many as fit into one picture."""
    known = sorted(steps)
    if not known:
        return []
    first, last = known[0], known[-1]
    count = min(_MAX_STEPS, int((last - first) // step.seconds) + 1)
    return [last - index * step.seconds for index in reversed(range(count))]


def _row(start: float, reports: Sequence[Report]) -> StepRow:
    figures = Figures()
    for report in reports:
        figures.add(report)
    percentiles = reports[0].percentiles or None if len(reports) == 1 else None
    return StepRow(start, figures, percentiles)


def _outcomes(rows: Sequence[StepRow]) -> Chart:
    figures = [row.figures for row in rows]
    return stacked_bars(
        [
            [float(one.delivered) for one in figures],
            [float(one.retried) for one in figures],
            [float(one.overflowed) for one in figures],
            [float(one.given_up) for one in figures],
        ],
        WIDE_BOX,
    )


def _times(rows: Sequence[StepRow]) -> Chart:
    return lines(
        [
            [row.percentiles[share] * 1000 if row.percentiles else None for row in rows]
            for share in (0.5, 0.95, 0.99)
        ],
        WIDE_BOX,
    )
