"""The records of the delivery log and of the reports, for any content."""

from datetime import UTC, datetime
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from consumer.journal.records import (
    DeliveryRecord,
    Followed,
    NotARecord,
    Phases,
    ReportRecord,
    hash_user,
    read_delivery,
    read_report,
    report_value,
    user_key,
)
from consumer.journal.rows import Row, RowEncoder
from consumer.reasons import ErrorKind
from support.log_records import delivery_value

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
COUNTS = st.integers(0, 2**53)
MS = st.floats(0, 1e6, allow_nan=False)
OPTIONAL_TEXTS = st.none() | TEXTS
DELIVERIES = st.builds(
    DeliveryRecord,
    at=TEXTS,
    delivery=TEXTS,
    hook=TEXTS,
    source=TEXTS,
    attempt=st.integers(1, 1000),
    outcome=st.sampled_from(Followed),
    replica=TEXTS,
    event=OPTIONAL_TEXTS,
    revision=st.none() | COUNTS,
    status=st.none() | COUNTS,
    error=OPTIONAL_TEXTS,
    ms=st.builds(Phases, MS, MS, MS, MS, MS),
    retry_at=OPTIONAL_TEXTS,
    reason=OPTIONAL_TEXTS,
    user=OPTIONAL_TEXTS,
    trace=OPTIONAL_TEXTS,
)
REPORTS = st.lists(COUNTS, min_size=1, max_size=5).flatmap(
    lambda latency: st.builds(
        ReportRecord,
        hook=TEXTS,
        hour=TEXTS,
        replica=TEXTS,
        delivered=COUNTS,
        retried=COUNTS,
        overflowed=COUNTS,
        dead_lettered=st.dictionaries(TEXTS, COUNTS, max_size=3),
        attempts=st.dictionaries(TEXTS, COUNTS, max_size=3),
        latency=st.just(tuple(latency)),
        bounds=st.just(tuple(float(at) for at in range(len(latency) - 1))),
    )
)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)


@given(DELIVERIES)
def test_a_log_record_is_read_as_it_was_written(record: DeliveryRecord) -> None:
    """A record of the delivery log is read as it was written."""
    assert read_delivery(delivery_value(record)) == record


@given(DELIVERIES)
def test_a_record_without_an_attempt_has_no_phases(record: DeliveryRecord) -> None:
    """A record of the delivery log without an attempt has no phases."""
    value = delivery_value(record._replace(attempt=0))
    assert "ms" not in orjson.loads(value)
    assert read_delivery(value) == record._replace(attempt=0, ms=Phases())


@given(REPORTS)
def test_a_report_is_read_as_it_was_written(record: ReportRecord) -> None:
    """A report is read as it was written."""
    assert read_report(report_value(record, GROUP)) == record


@given(DELIVERIES, REPORTS, st.dictionaries(TEXTS.map("x-{}".format), JSON, max_size=3))
def test_unknown_fields_are_passed_over(
    record: DeliveryRecord, report: ReportRecord, more: dict[str, Any]
) -> None:
    """Fields that a newer version adds to a record of the log or to a report are passed over."""
    assert read_delivery(orjson.dumps(orjson.loads(delivery_value(record)) | more)) == record
    assert read_report(orjson.dumps(orjson.loads(report_value(report, GROUP)) | more)) == report


@given(
    DELIVERIES,
    REPORTS,
    st.sampled_from(["at", "attempt", "outcome", "ms", "status", "latency", "bounds", "attempts"]),
    JSON,
)
def test_no_value_of_a_field_raises(
    record: DeliveryRecord, report: ReportRecord, name: str, value: Any
) -> None:
    """A field of any kind gives a record, or says why there is none, and never an exception."""
    of_log = read_delivery(orjson.dumps(orjson.loads(delivery_value(record)) | {name: value}))
    of_reports = read_report(
        orjson.dumps(orjson.loads(report_value(report, GROUP)) | {name: value})
    )
    assert isinstance(of_log, DeliveryRecord) or of_log.why
    assert isinstance(of_reports, ReportRecord) or of_reports.why


@given(st.binary(max_size=40) | JSON.map(orjson.dumps))
def test_other_bytes_are_no_record(value: bytes) -> None:
    """Bytes of another program are told to be no record of the log and no report."""
    for found in (read_delivery(value), read_report(value), read_delivery(None), read_report(None)):
        assert isinstance(found, NotARecord)
        assert found.why


@given(TEXTS, TEXTS)
def test_a_user_has_one_hash_by_each_key(user: str, other: str) -> None:
    """A user's hash depends on the key and on the user, and shows neither."""
    key = user_key("s3cret", "group", "prefix")
    assert hash_user(key, user) == hash_user(key, user)
    assert (hash_user(key, user) == hash_user(key, other)) == (user == other)
    assert hash_user(key, user) != hash_user(user_key(None, "group", "prefix"), user)
    assert len(hash_user(key, user)) == 32


ROW_TEXTS = st.text("abcXYZ019_~%:-", max_size=12)
REPLICA, GROUP, KEY = 'host-"1"', 'our "group"', b"k" * 32


@given(
    st.floats(0, 4e9),
    DELIVERIES,
    ROW_TEXTS,
    TEXTS,
    st.integers(0, 99),
    st.tuples(*[st.integers(1, 10**9)] * 4)
    | st.tuples(st.just(0), st.just(0), st.just(0), st.integers(0, 10**9))
    | st.none(),
    st.floats(0, 600),
    st.floats(0, 1e6) | st.just(-1.0),
)
def test_a_row_becomes_its_record(  # noqa: PLR0917  # hypothesis passes them by position
    at: float,
    record: DeliveryRecord,
    delivery: str,
    topic: str,
    partition: int,
    phases: tuple[int, int, int, int] | None,
    seconds: float,
    retry_after: float,
) -> None:
    """A row of the writer is read as a record of the log with the same facts, whatever characters
    they have.
    """
    row = Row(at, record.hook, delivery)
    row.topic, row.partition, row.offset = topic, partition, 7
    row.event, row.revision, row.reason, row.user = (
        record.event, record.revision, record.reason or None, record.user,
    )  # fmt: skip
    row.outcome, row.retry_after = str(record.outcome), retry_after
    row.attempt, row.seconds, row.phases = record.attempt, seconds, phases
    row.status, row.error = 503, None if partition % 2 else ErrorKind.TLS
    read = read_delivery(RowEncoder(REPLICA, GROUP, KEY).encode(row))
    times = [ms / 1000 for ms in phases or (0, 0, 0, 0)]
    assert read == DeliveryRecord(
        at=_time(at),
        delivery=delivery,
        hook=record.hook,
        source=f"{topic}/{partition}/7",
        attempt=record.attempt,
        outcome=record.outcome,
        replica=REPLICA,
        event=record.event,
        revision=record.revision,
        status=503 if partition % 2 else None,
        error=None if partition % 2 else "tls",
        ms=Phases(times[0], times[1], times[2], times[3], int(seconds * 1_000_000 + 0.5) / 1000),
        retry_at=_time(at + retry_after) if retry_after >= 0 else None,
        reason=record.reason or None,
        user=hash_user(KEY, record.user) if record.user is not None else None,
    )


def _time(at: float) -> str:
    second, milliseconds = divmod(int(at * 1000.0), 1000)
    text = datetime.fromtimestamp(second, UTC).isoformat()
    return text.replace("+00:00", f".{milliseconds:03d}Z")
