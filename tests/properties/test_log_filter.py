"""The filters and cursors of the delivery log."""

import re
from dataclasses import replace

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.errors import ConfigError
from consumer.journal.cursor import Cursor, parse_cursor
from consumer.journal.log_filter import FILTERS, LogFilter, Matcher, parse_filter
from consumer.journal.records import DeliveryRecord, Followed, hash_user
from consumer.journal.rows import Row, RowEncoder
from consumer.metrics.hooks import STATUSES, status_label
from support.fakes import FakeRecord
from support.log_records import delivery_value

KEY = b"k" * 32
GROUP = "group"
IDS = st.sampled_from(["e1", "e2", 'e"3', "e\\4", "ş/5", "503", "5xx", "timeout", "status"])
ATTEMPTS = st.fixed_dictionaries(
    {"status": st.sampled_from([101, 200, 204, 302, 404, 503, 999])}
) | (st.fixed_dictionaries({"error": st.sampled_from(["timeout", "dns", "tls"])}) | st.just({}))
RECORDS = st.builds(
    lambda attempt, **fields: DeliveryRecord(
        at="2026-11-29T10:00:00.000Z", source="t/0/1", replica="r", attempt=1, **fields, **attempt
    ),
    ATTEMPTS,
    delivery=IDS,
    hook=st.sampled_from(["h1", "h2"]),
    outcome=st.sampled_from(Followed),
    event=st.none() | IDS,
    user=st.none() | st.sampled_from(["u1", "u2"]).map(lambda user: hash_user(KEY, user)),
    reason=st.none() | IDS,
)
OTHER_TEXTS = {
    "hook": st.sampled_from(["h1", "h2"]),
    "outcome": st.sampled_from(Followed).map(str),
    "status": st.sampled_from(["200", "204", "503", "101", *STATUSES]),
    "id": IDS,
    "event": IDS,
    "user": st.sampled_from(["u1", "u2"]),
    "since": st.sampled_from(["1970-01-01T00:00:05Z", "95s"]),
    "until": st.sampled_from(["1970-01-01T00:00:08Z", "92s"]),
}


@st.composite
def searches(draw: st.DrawFn) -> tuple[dict[str, str], DeliveryRecord]:
    """A record, and the texts of up to three filters, most of which fit it."""
    record = draw(RECORDS)
    own = {
        "hook": record.hook,
        "outcome": str(record.outcome),
        "id": record.delivery,
        "event": record.event,
        "status": _label(record),
    }
    names = draw(st.lists(st.sampled_from(list(OTHER_TEXTS)), max_size=3, unique=True))
    texts = {}
    for name in names:
        fitting = own.get(name)
        chosen = fitting if fitting is not None and draw(st.integers(0, 3)) else None
        texts[name] = chosen or draw(OTHER_TEXTS[name])
    return texts, record


def _label(record: DeliveryRecord) -> str | None:
    if record.status is None and record.error is None:
        return None
    return status_label(record.status or 0, record.error)


NOW = 100.0


def _naive(texts: dict[str, str], record: DeliveryRecord, timestamp: int) -> bool:
    """What each filter means, field by field."""
    given_: dict[str, object] = {
        "hook": record.hook,
        "outcome": str(record.outcome),
        "id": record.delivery,
        "event": record.event,
    }
    return (
        all(given_[name] == text for name, text in texts.items() if name in given_)
        and texts.get("status") in {None, _label(record), str(record.status)}
        and ("user" not in texts or record.user == hash_user(KEY, texts["user"]))
        and ("since" not in texts or timestamp >= 5_000)
        and ("until" not in texts or timestamp < 8_000)
    )


@settings(max_examples=500)
@given(
    search=searches(),
    timestamp=st.integers(4_990, 8_010),
    escaped=st.booleans(),
    spaced=st.booleans(),
)
def test_the_filters_equal_naive_ones(
    search: tuple[dict[str, str], DeliveryRecord], timestamp: int, escaped: bool, spaced: bool
) -> None:
    """A record is found if and only if a plain comparison of its fields finds it, however its JSON
    is written: the search by bytes that comes first leaves out none.
    """
    texts, record = search
    value = delivery_value(record)
    if spaced:
        value = re.sub(rb'":', rb'" : ', value)
        if orjson.loads(value) != orjson.loads(delivery_value(record)):
            value = delivery_value(record)  # a text held the same characters
    if escaped:
        value = value.replace(b"e", rb"\u0065").replace(b"/", rb"\/")
    matcher = Matcher(parse_filter(texts, now=NOW, user_key=KEY), GROUP)
    found = matcher(FakeRecord(value, key=record.hook.encode(), timestamp=timestamp))
    assert (found == record) == _naive(texts, record, timestamp)
    assert found in {None, record}
    assert matcher.passed_over == 0


@given(value=st.binary() | st.from_type(dict).map(lambda _: b'{"format":2}'))
def test_other_records_are_counted(value: bytes) -> None:
    """A record that is none of the log is passed over and counted, and does not end a search."""
    matcher = Matcher(LogFilter(), GROUP)
    assert matcher(FakeRecord(value)) is None
    assert matcher.passed_over == 1


@given(
    offsets=st.dictionaries(st.integers(0, 10**4), st.integers(0, 2**62), max_size=20),
    topic_id=st.uuids().map(str),
    wanted=st.builds(LogFilter, hook=st.none() | IDS, since=st.none() | st.integers(0, 9)),
)
def test_cursors_come_back(offsets: dict[int, int], topic_id: str, wanted: LogFilter) -> None:
    """A cursor's text is read as what it was, also if the times of the filter are other ones."""
    cursor = Cursor(topic_id, wanted.digest, offsets)
    later = replace(wanted, since=7, until=9)
    assert parse_cursor(str(cursor), topic_id, later.digest) == cursor
    with pytest.raises(ConfigError, match="other filters"):
        parse_cursor(str(cursor), topic_id, LogFilter(event="another").digest)
    with pytest.raises(ConfigError, match="made anew"):
        parse_cursor(str(cursor), "another", wanted.digest)


@given(text=st.text() | st.text("abcABC019_-", max_size=80))
def test_any_other_text_is_no_cursor(text: str) -> None:
    """Any text that is no cursor is refused with a hint, and raises nothing else."""
    with pytest.raises(ConfigError, match=r"cursor: is no cursor \(take it"):
        parse_cursor(text, "t", "d")


@given(
    texts=st.dictionaries(
        st.sampled_from(FILTERS) | st.text(max_size=5),
        st.text(max_size=30, alphabet=st.characters()) | st.just("1h"),
        max_size=4,
    )
)
def test_any_texts_are_a_filter_or_refused(texts: dict[str, str]) -> None:
    """Whatever a person writes is a filter, or is refused with the field and a hint."""
    try:
        parse_filter(texts, now=NOW, user_key=KEY)
    except ConfigError as error:
        assert all(one.hint for one in error.diagnostics)  # noqa: PT017  # either is right
        assert {one.field for one in error.diagnostics} <= texts.keys()  # noqa: PT017


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("hok", "x", r"hok: is no filter \(did you mean hook\?\)"),
        ("colour", "x", r"colour: is no filter \(there are: hook, outcome, "),
        ("status", "5x", r"'5x' is no status \(did you mean 5xx\?\)"),
        ("outcome", "dead", r"'dead' is no outcome \("),
        ("since", "2999-01-01T00:00:00Z", "is in the future, so nothing can be found"),
        ("since", "yesterday", "neither a time with its zone nor a duration"),
        ("until", "2026-11-24T10:00:00", "neither a time with its zone nor a duration"),
        ("since", "2026-11-24T10:00:00 00:00", "write %2B in its place"),
        ("user", "", "is empty, too long or not UTF-8"),
        ("event", "\udc80", "is empty, too long or not UTF-8"),
    ],
)
def test_a_wrong_filter_is_refused_with_a_hint(name: str, text: str, said: str) -> None:
    """An unknown filter, and a text that a filter does not take, are refused with a hint."""
    with pytest.raises(ConfigError, match=said):
        parse_filter({name: text}, now=NOW, user_key=KEY)


def test_a_class_of_statuses_is_read_in_any_case() -> None:
    """`5XX` and `Timeout` are what `5xx` and `timeout` are."""
    for text in ("5XX", "Timeout"):
        assert parse_filter({"status": text}, now=NOW, user_key=KEY).status == text.lower()


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.sampled_from(["", "b"]))
def test_rows_of_another_installation_are_left_out(group: str, more: str) -> None:
    """A row of another installation is counted and left out, whatever its group is called; an own
    one is found, also if its texts look like another's group.
    """
    row = Row(NOW, '"group":"x"', "e1:h")
    row.outcome, row.event = str(Followed.DELIVERED), '"group":"y"'
    matcher = Matcher(LogFilter(), group)
    value = RowEncoder("r", group + more, KEY).encode(row)
    assert (matcher(FakeRecord(value)) is None) == bool(more)
    assert matcher.passed_over == len(more)
