"""Reports: sums over replicas and hours, and percentiles."""

from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.errors import ConfigError
from consumer.exposition import Histogram
from consumer.journal.records import ReportRecord, report_key, report_value
from consumer.journal.report_sums import Report, ReportFilter, ReportTable, Step, percentiles
from support.fakes import FakeRecord

BOUNDS = (0.1, 1.0)
GROUP = "group"
NOON = datetime(2026, 11, 29, 12, tzinfo=UTC).timestamp()
LATER = NOON + 30 * 3600.0


def _record(hook: str, hour: str, replica: str, **counts: object) -> ReportRecord:
    plain = ReportRecord(hook=hook, hour=hour, replica=replica, latency=(0, 0, 0), bounds=BOUNDS)
    return replace(plain, **counts)  # type: ignore[arg-type]


def _take(table: ReportTable, record: ReportRecord) -> None:
    key = report_key(record.hook, record.hour, record.replica)
    table.take(FakeRecord(report_value(record, GROUP), key=key))


def _reports(
    *records: ReportRecord, wanted: ReportFilter | None = None, step: Step = Step.HOUR
) -> list[Report]:
    table = ReportTable(wanted or ReportFilter(), GROUP)
    for record in records:
        _take(table, record)
    return table.reports(step, LATER)


def test_the_last_record_of_a_key_counts() -> None:
    """Of the records of one hook, hour and replica the last one counts, and replicas, among them a
    former life of the same one, are summed.
    """
    hour = "2026-11-29T12"
    [report] = _reports(
        _record("h", hour, "r-1", delivered=1, attempts={"2xx": 1}, latency=(1, 0, 0)),
        _record("h", hour, "r-2", delivered=5, dead_lettered={"permanent": 2}),
        _record(
            "h", hour, "r-1", delivered=3, retried=1, attempts={"2xx": 3, "5xx": 1},
            latency=(2, 2, 0),
        ),
    )  # fmt: skip
    assert (report.hook, report.start, report.seconds) == ("h", NOON, 3600.0)
    assert (report.delivered, report.retried, report.dead_lettered) == (8, 1, {"permanent": 2})
    assert report.attempts == {"2xx": 3, "5xx": 1}
    assert (report.success_share, report.attempts_per_second) == (0.75, 4 / 3600)
    assert report.percentiles[0.5] == pytest.approx(0.1)


def test_steps_and_times() -> None:
    """Hours are summed into days in UTC, and only the hours of the wanted time and hook count."""
    records = [
        _record(hook, f"2026-11-{day}T{hour:02}", "r", delivered=1)
        for hook in ("a", "b")
        for day in (29, 30)
        for hour in range(24)
    ]
    days = _reports(*records, wanted=ReportFilter(hook="a"), step=Step.DAY)
    assert [(one.hook, one.delivered) for one in days] == [("a", 24), ("a", 24)]
    assert [one.seconds for one in days] == [86_400.0, 18 * 3600.0]
    some = _reports(*records, wanted=ReportFilter("b", NOON + 1800, NOON + 3 * 3600))
    assert [one.start for one in some] == [NOON, NOON + 3600, NOON + 7200]
    [day] = _reports(*records, wanted=ReportFilter("b", NOON, NOON + 7200), step=Step.DAY)
    assert (day.delivered, day.seconds) == (2, 7200.0)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"h|2026-11-29T12|r", b"no JSON"),
        (b"h|2026-11-29|r", b"{}"),
        (b"h", b"{}"),
        (None, b"{}"),
        (b"other|2026-11-29T12|r", report_value(_record("h", "2026-11-29T12", "r"), GROUP)),
    ],
)
def test_other_records_are_counted(key: bytes | None, value: bytes) -> None:
    """A record that is no report, or is one of another key, is passed over and counted."""
    table = ReportTable(ReportFilter(), GROUP)
    table.take(FakeRecord(value, key=key))
    assert (table.passed_over, table.reports(Step.HOUR, LATER)) == (1, [])


def test_a_deleted_report_does_not_count() -> None:
    """A record without a value takes its key's counts away."""
    table = ReportTable(ReportFilter(), GROUP)
    record = _record("h", "2026-11-29T12", "r", delivered=1)
    _take(table, record)
    table.take(FakeRecord(None, key=report_key("h", "2026-11-29T12", "r")))
    assert (table.passed_over, table.reports(Step.HOUR, LATER)) == (0, [])


def test_more_reports_than_a_process_may_keep_are_refused() -> None:
    """A question for more hooks, hours and replicas than may be kept is refused, and the error says
    how to ask for fewer; records of the same key count once.
    """
    table = ReportTable(ReportFilter(), GROUP, max_keys=2)
    for hook in ("a", "b", "a", "b"):
        _take(table, _record(hook, "2026-11-29T12", "r", delivered=1))
    with pytest.raises(ConfigError, match=r"more than 2 reports.*name a hook, or a shorter time"):
        _take(table, _record("c", "2026-11-29T12", "r", delivered=1))


def test_percentiles_are_linear_in_their_bucket() -> None:
    """A percentile lies in its bucket as if the times were even there; what is longer than all
    buckets counts as the longest bound.
    """
    found = percentiles([((1.0, 2.0), (0, 100, 0))])
    assert found == {0.5: 1.5, 0.95: 1.95, 0.99: 1.99}
    assert percentiles([((1.0, 2.0), (0, 10, 90))])[0.5] == 2.0
    assert percentiles([((1.0, 2.0), (0, 0, 0))]) == {}
    assert percentiles([]) == {}


@given(
    times=st.lists(st.floats(0.001, 59.0), min_size=1, max_size=50),
    others=st.lists(st.floats(0.001, 59.0), max_size=50),
    share=st.sampled_from([0.01, 0.5, 0.95, 0.99, 1.0]),
)
def test_percentiles_are_in_the_bucket_of_the_truth(
    times: list[float], others: list[float], share: float
) -> None:
    """The percentile of the times of two versions, whose buckets differ, is nowhere beyond the
    buckets that hold the true one, and percentiles rise with their share.
    """
    first, second = Histogram((0.1, 1.0, 10.0, 60.0)), Histogram((0.5, 1.0, 60.0))
    for one in times:
        first.observe(one)
    for one in others:
        second.observe(one)
    parts = [(histogram.edges, histogram.counts) for histogram in (first, second)]
    whole = sorted([*times, *others])
    truth = whole[min(len(whole) - 1, max(0, -int(-share * len(whole) // 1) - 1))]
    found = percentiles(parts, [share])[share]
    edges = (0.0, 1.0, 60.0)  # of both
    low, high = next((a, b) for a, b in pairwise(edges) if a < truth <= b)
    assert low <= found <= high + 1e-9
    rising = list(percentiles(parts, [0.1, 0.5, 0.9, 1.0]).values())
    assert rising == sorted(rising)


def test_reports_of_another_installation_are_not_summed() -> None:
    """A report of another installation, for a hook of the same id, is counted and not summed; one
    of an older version, without a group, is.
    """
    table = ReportTable(ReportFilter(), GROUP)
    for number, group in enumerate((GROUP, "another", None)):
        record = _record("h", "2026-11-29T12", f"r{number}", delivered=1)
        value = orjson.loads(report_value(record, group or ""))
        if group is None:
            del value["group"]
        key = report_key(record.hook, record.hour, record.replica)
        table.take(FakeRecord(orjson.dumps(value), key=key))
    [report] = table.reports(Step.HOUR, LATER)
    assert (report.delivered, table.passed_over) == (2, 1)
