"""Reports as the pages show them."""

import pytest

from consumer.journal.report_sums import HOUR_SECONDS, Step
from consumer.panel.pages.figures import days, no_day, report_figures
from consumer.panel.pages.reports_page import csv_of
from support.page_data import report

NOW = 1_800_000_000.0 + 1_800
FIRST = 1_800_000_000.0 - 23 * HOUR_SECONDS


def test_a_day_is_the_hour_that_runs_and_the_23_before_it() -> None:
    """Reports of earlier hours count neither in the sums nor in the chart of the last 24 hours."""
    found = days(
        [
            report("h", FIRST - HOUR_SECONDS, good=1_000),
            report("h", FIRST, good=3, bad=1, dead=1),
            report("h", FIRST + 23 * HOUR_SECONDS, good=4),
            report("other", FIRST, good=9),
        ],
        NOW,
    )
    assert found["h"].figures.delivered == 7
    assert found["h"].figures.given_up == 1
    assert found["h"].figures.error_share == pytest.approx(1 / 8)
    assert found["h"].chart.paths[0].count("M") == 2
    assert found["other"].figures.delivered == 9


def test_a_hook_without_attempts_has_no_error_rate() -> None:
    """No attempts are not a rate of 0."""
    assert no_day(NOW).figures.error_share is None


def test_steps_without_a_report_are_shown() -> None:
    """An hour in which nothing was sent is a row of noughts, so that time runs evenly."""
    figures = report_figures(
        [report("h", FIRST, good=1), report("h", FIRST + 7_200, good=2)], Step.HOUR
    )
    assert [row.figures.delivered for row in figures.rows] == [1, 0, 2]
    assert figures.rows[1].percentiles is None
    assert figures.times is not None


def test_hooks_are_listed_with_the_busiest_first() -> None:
    """Reports of several hooks are summed for each; their percentiles are not put together."""
    figures = report_figures(
        [report("a", FIRST, good=1), report("b", FIRST, good=5, bad=5)], Step.HOUR
    )
    assert [hook for hook, _, _ in figures.by_hook] == ["b", "a"]
    assert figures.total.attempt_count == 11
    assert figures.times is None


def test_csv_has_a_line_for_each_report_and_no_formula() -> None:
    """Each report is a line with a number in each column, and no text begins as a formula does."""
    lines = csv_of([report("-sum", FIRST, good=3, bad=1, dead=1)]).decode().splitlines()
    names, values = lines[0].split(","), lines[1].split(",")
    row = dict(zip(names, values, strict=True))
    assert row["hook"] == "'-sum"
    assert (row["delivered"], row["attempts_5xx"], row["dead_lettered_exhausted"]) == (
        "3",
        "1",
        "1",
    )
    assert row["start"] == "2027-01-14T09:00:00.000Z"
    assert row["p50_ms"] == "40.150"
