"""Reports: counts, rates and percentiles by hook and time, for the commands and the API."""

from collections.abc import Mapping
from typing import Any, Final

from consumer.errors import ConfigError, Diagnostic, InvalidValue
from consumer.journal.log_filter import TIMES, check_filter
from consumer.journal.report_sums import Report, ReportFilter, Step
from consumer.services.times import rfc3339

REPORT_FILTERS: Final = ("hook", "since", "until", "step")
DEFAULT_SINCE: Final = "24h"


def parse(values: Mapping[str, str], now: float) -> tuple[ReportFilter, Step]:
    """The filter and the step that a person wrote: `REPORT_FILTERS` with their texts; without
    `since` those of the last day, without `step` by the hour. `now`: epoch seconds.

    Raises:
        ConfigError: with each name that is no filter, and each text that it does not take.
    """
    problems: list[Diagnostic] = []
    times: dict[str, float] = {}
    step = Step.HOUR
    for name, text in {"since": DEFAULT_SINCE, **values}.items():
        try:
            if name in TIMES:
                times[name] = TIMES[name](text, now) / 1000
            elif name == "step":
                step = _step(text)
            else:
                check_filter(name, REPORT_FILTERS)
        except InvalidValue as error:
            problems.append(Diagnostic(error.message, error.hint, field=name))
    if problems:
        raise ConfigError(problems)
    return ReportFilter(values.get("hook"), times.get("since"), times.get("until")), step


def report_facts(report: Report) -> dict[str, Any]:
    """A report as JSON; times are RFC 3339, percentiles in milliseconds."""
    return {
        "hook": report.hook,
        "start": rfc3339(report.start),
        "seconds": report.seconds,
        "delivered": report.delivered,
        "retried": report.retried,
        "overflowed": report.overflowed,
        "dead_lettered": dict(report.dead_lettered),
        "attempts": dict(report.attempts),
        "attempts_per_second": report.attempts_per_second,
        "success_share": report.success_share,
        "ms": {
            f"p{share * 100:g}": round(seconds * 1000, 3)
            for share, seconds in report.percentiles.items()
        },
    }


def _step(text: str) -> Step:
    if text not in set(Step):
        raise InvalidValue(f"{text!r} is no step", f"write one of: {', '.join(Step)}")
    return Step(text)
