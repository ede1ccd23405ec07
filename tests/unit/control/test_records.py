"""The records of live definitions and of their audit: what is written is what is read."""

from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.control.records import (
    CHANGE_HEADER,
    MAX_RECORD_BYTES,
    REVISION_HEADER,
    Action,
    AuditRecord,
    HookRecord,
    read_audit_record,
    read_hook_record,
)
from consumer.errors import InvalidValue

DEFINITION = {"id": "a", "trigger": "event", "uri": "https://example.com"}
TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
IDS = st.from_regex(r"[a-z0-9-]{1,64}", fullmatch=True)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def _good(**other: Any) -> bytes:
    fields = {"format": 1, "revision": 7, "definition": DEFINITION, "at": "t", "by": "ayse"}
    return orjson.dumps({**fields, **other})


RECORDS = st.builds(
    lambda hook_id, more, **fields: HookRecord(
        hook_id, definition={**more, "id": hook_id}, **fields
    ),
    hook_id=IDS,
    more=st.dictionaries(TEXT, JSON, max_size=3),
    revision=st.integers(1, 10**17),
    at=TEXT,
    by=TEXT,
    comment=TEXT,
    change=TEXT,
)
DEFINITIONS = st.none() | st.dictionaries(TEXT, JSON, max_size=3)
AUDITS = st.builds(
    AuditRecord,
    at=TEXT,
    by=TEXT,
    action=st.sampled_from(Action),
    hook=IDS,
    revision=st.integers(1, 10**17),
    before=DEFINITIONS,
    after=DEFINITIONS,
    comment=TEXT,
    change=TEXT,
)


@given(RECORDS)
def test_a_revision_is_read_as_it_was_written(record: HookRecord) -> None:
    """A record of a definition is read with every field that it was written with."""
    assert read_hook_record(*record.write()) == record


@given(IDS, st.integers(1, 10**17), TEXT)
def test_a_deletion_keeps_its_revision(hook_id: str, revision: int, change: str) -> None:
    """The record of a deletion has no value, and its revision and change are read from headers."""
    record = HookRecord(hook_id, revision, None, change=change)
    key, value, headers = record.write()
    assert value is None
    assert read_hook_record(key, value, headers) == record


@given(AUDITS)
def test_an_audit_record_is_read_as_it_was_written(record: AuditRecord) -> None:
    """An audit record is read with every field that it was written with."""
    key, value, headers = record.write()
    assert key == record.hook.encode()
    assert read_audit_record(value, headers) == record


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (None, _good(), "the key is no hook id"),
        (b"", None, "the key is no hook id"),
        (b"\xff", _good(), "the key is no hook id"),
        (b"a", b"", "is no JSON object"),
        (b"a", b"[]", "is no JSON object"),
        (b"a", b"\x00\x01", "is no JSON object"),
        (b"a", b'{"format": 1', "is no JSON object"),
        (b"a", _good(format=2), "its format is not 1"),
        (b"a", _good(format="1"), "its format is not 1"),
        (b"a", _good(definition=None), "has no definition"),
        (b"a", _good(definition=[1]), "has no definition"),
        (b"a", _good(revision=0), "has no revision"),
        (b"a", _good(revision=True), "has no revision"),
        (b"a", _good(revision="7"), "has no revision"),
        (b"b", _good(), "its definition has another id than its key"),
        (b"a", _good(definition={}), "its definition has another id than its key"),
    ],
)
def test_a_record_that_is_none_is_refused_with_a_hint(
    key: bytes | None, value: bytes | None, message: str
) -> None:
    """A record that is no definition is refused with what is wrong and what to do."""
    with pytest.raises(InvalidValue) as refused:
        read_hook_record(key, value, ())
    assert refused.value.message == message
    assert refused.value.hint


@given(st.binary(max_size=40) | st.none(), st.binary(max_size=60) | st.none())
def test_any_bytes_are_a_record_or_refused(key: bytes | None, value: bytes | None) -> None:
    """Whatever bytes stand in a topic, reading them gives a record or one kind of error."""
    headers = [(REVISION_HEADER, value), (CHANGE_HEADER, key)]
    with suppress(InvalidValue):
        assert read_hook_record(key, value, headers).hook_id
    with suppress(InvalidValue):
        assert read_audit_record(value, headers).action in Action


@pytest.mark.parametrize(
    ("value", "revision"),
    [(b"7", 7), (b"", 0), (b"-7", 0), ("७".encode(), 0), (b"9" * 19, 0), (None, 0)],
)
def test_a_deletion_without_a_revision_is_read(value: bytes | None, revision: int) -> None:
    """A deletion whose revision is missing or no number is read with revision 0."""
    headers = [] if value is None else [(REVISION_HEADER, value)]
    assert read_hook_record(b"a", None, headers).revision == revision


def test_fields_of_another_type_are_read_as_empty() -> None:
    """Author, time and comment of another type do not make a record unreadable."""
    record = read_hook_record(b"a", _good(at=1, by=None, comment=["x"]), ())
    assert (record.at, record.by, record.comment) == ("", "", "")


def test_a_definition_that_is_too_large_is_refused() -> None:
    """A definition whose record would be larger than the topic takes is refused with its size."""
    large = {"id": "a", "name": "x" * MAX_RECORD_BYTES}
    with pytest.raises(InvalidValue, match=r"takes 900,\d\d\d bytes, and a record may have"):
        HookRecord("a", 1, large).write()


@pytest.mark.parametrize("value", [None, b"{}", b'{"action": "renamed"}', b"[1]"])
def test_an_audit_record_of_another_kind_is_refused(value: bytes | None) -> None:
    """An audit record without an action that this version knows is refused."""
    with pytest.raises(InvalidValue):
        read_audit_record(value, ())
