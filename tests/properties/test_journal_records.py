"""The records of the delivery log and of the reports, for any content."""

from dataclasses import replace
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
    delivery_value,
    hash_user,
    read_delivery,
    read_report,
    report_value,
    user_key,
)

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
    value = delivery_value(replace(record, attempt=0))
    assert "ms" not in orjson.loads(value)
    assert read_delivery(value) == replace(record, attempt=0, ms=Phases())


@given(REPORTS)
def test_a_report_is_read_as_it_was_written(record: ReportRecord) -> None:
    """A report is read as it was written."""
    assert read_report(report_value(record)) == record


@given(DELIVERIES, REPORTS, st.dictionaries(TEXTS.map("x-{}".format), JSON, max_size=3))
def test_unknown_fields_are_passed_over(
    record: DeliveryRecord, report: ReportRecord, more: dict[str, Any]
) -> None:
    """Fields that a newer version adds to a record of the log or to a report are passed over."""
    assert read_delivery(orjson.dumps(orjson.loads(delivery_value(record)) | more)) == record
    assert read_report(orjson.dumps(orjson.loads(report_value(report)) | more)) == report


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
    of_reports = read_report(orjson.dumps(orjson.loads(report_value(report)) | {name: value}))
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
