"""Records that somebody wrote to do harm: decoded within bounds, or refused in one sentence."""

import time

import orjson
import pytest

from consumer.events.decode import MAX_EVENT_BYTES, Decoder, UndecodableError
from consumer.events.path import parse_path, walk
from support.fakes import FakeRecord, make_event
from support.hostile import UNDECODABLE


@pytest.mark.parametrize("value", UNDECODABLE.values(), ids=UNDECODABLE.keys())
def test_what_is_no_event_is_undecodable(value: bytes) -> None:
    """One error, whose text holds nothing of the record."""
    with pytest.raises(UndecodableError) as caught:
        Decoder("event")(FakeRecord(value))
    assert len(str(caught.value)) < 200


def test_a_record_is_an_event_up_to_the_bound() -> None:
    """One byte more is refused, before anything is parsed."""
    bare = len(orjson.dumps({"id": "e", "x": ""}))
    longest = orjson.dumps({"id": "e", "x": "x" * (MAX_EVENT_BYTES - bare)})
    assert len(longest) == MAX_EVENT_BYTES
    assert Decoder("event")(FakeRecord(longest)).id == "e"
    with pytest.raises(UndecodableError, match=f"longer than {MAX_EVENT_BYTES} bytes"):
        Decoder("event")(FakeRecord(longest + b" "))


def test_of_duplicate_keys_the_last_counts() -> None:
    """As everywhere (RFC 8259 section 4 leaves it open): no part is read from one, another from
    the other.
    """
    event = Decoder("event")(FakeRecord(b'{"id": "a", "data": 1, "id": "b", "data": {}}'))
    assert event.id == event.document["id"] == "b"
    assert event.document["data"] == {}


@pytest.mark.parametrize(
    "occurred_at",
    [1e308, -1e308, 2**64 - 1, -(2**63), "9" * 1_000_000, "2026-11-24T10:00:00Z" + " " * 10_000],
    ids=["large", "small", "64 bits", "negative", "digits", "blanks"],
)
def test_a_wild_time_holds_nothing_up(occurred_at: object) -> None:
    """A number is taken as it is; a text that cannot be a time costs nothing to find out."""
    event = make_event({"id": "e", "occurred_at": occurred_at})
    assert isinstance(event.occurred_at, float)


def test_a_step_of_very_many_digits_is_no_index() -> None:
    """A definition's path and an event's array cannot make `int` raise between them."""
    assert walk(["a", "b"], parse_path("9" * 5_000)) is None
    assert walk(["a", "b"], parse_path("1")) == "b"


@pytest.mark.parametrize("piece", [b"[]", b'{"":0}', b'"k":1'], ids=["arrays", "objects", "keys"])
def test_the_costliest_events_are_far_from_a_second(piece: bytes) -> None:
    """The bound on the size is one on the time: many small parts are what costs most. The goal
    is 0.1 s, measured in docs/security.md; how busy a test machine is must not matter here.
    """
    count = MAX_EVENT_BYTES // (len(piece) + 8)
    inside = b",".join(
        piece.replace(b"k", b"k%d" % number) if piece[:2] == b'"k' else piece
        for number in range(count)
    )
    opening, closing = (b"{", b"}") if piece[:2] == b'"k' else (b"[", b"]")
    value = b'{"id": "e", "x": ' + opening + inside + closing + b"}"
    assert len(value) <= MAX_EVENT_BYTES
    began = time.thread_time()
    Decoder("event")(FakeRecord(value))
    assert time.thread_time() - began < 1.0
