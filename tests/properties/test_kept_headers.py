"""A record's own headers, key and value on all its ways: whatever they are, they come out as they
went in, and nothing in them is taken for hookstream's own word.
"""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from consumer.records.delivery_metadata import read_delivery_metadata
from consumer.records.headers import OWN_HEADERS, original_headers, read_group
from consumer.records.record import Headers, UndecodableError
from consumer.stream.dead_letters import DeadLetterRecord
from consumer.stream.replay_route import Route
from support.fakes import FakeRecord, make_hook
from support.pipeline_harness import DEAD, GROUP, RETRY_TOPICS, PipelineHarness, Published

VALUES = st.none() | st.binary()
OWN = st.sampled_from(sorted(OWN_HEADERS))
ODD = st.sampled_from(
    ["", " ", "a\nb", "İ" * 300, "hookstream-", "hookstream-other", "traceparent"]
)
HEADERS = st.lists(st.tuples(st.text() | ODD, VALUES), max_size=6)
HOSTILE = st.lists(
    st.tuples(
        st.text() | ODD | OWN,
        VALUES | st.sampled_from([b"other", b"9999999999", b"event/0/0", b"h2", b"\xff" * 9_000]),
    ),
    max_size=8,
)
NOT_REPLAYED = HOSTILE.map(
    lambda headers: [header for header in headers if header[0] != "hookstream-replayed-by"]
)
TIMESTAMPS = st.sampled_from([-1, 0, 1_800_000_000_000, 253_402_300_799_999, 2**63 - 1])
EVENT = b'{"id": "e1"}'


def _kept(headers: Headers) -> list[tuple[str, bytes | None]]:
    return [(name, value) for name, value in headers if name not in OWN_HEADERS]


def _check(posted: Published, source: FakeRecord) -> None:
    """The record is the source's, and each of hookstream's headers is there once at most."""
    headers = list(posted.headers)
    assert (posted.outgoing.key, posted.outgoing.value) == (source.key, source.value)
    assert original_headers(headers) == _kept(source.headers)
    own = [name for name, _ in headers if name in OWN_HEADERS]
    assert len(own) == len(set(own))
    assert dict(headers)["hookstream-group"] == GROUP.encode()
    metadata = posted.metadata
    assert (metadata.topic, metadata.partition, metadata.offset) == ("event", 0, 7)
    assert metadata.timestamp == source.timestamp


@given(headers=NOT_REPLAYED, key=VALUES, timestamp=TIMESTAMPS)
def test_headers_travel_through_retries_and_dead_letters(
    headers: Headers, key: bytes | None, timestamp: int
) -> None:
    """All original headers travel through every retry topic, the dead-letter topic and a replay, in
    their order, with duplicates and without values; hookstream's own are replaced each time.
    """
    harness = PipelineHarness(make_hook("h1"))
    source = FakeRecord(EVENT, "event", 0, 7, timestamp, key, headers)
    harness.handle(source)
    for topic in (RETRY_TOPICS[0].topic, RETRY_TOPICS[1].topic):
        harness.transport.answer(503)
        posted = harness.acknowledge()
        assert posted.outgoing.topic == topic
        _check(posted, source)
        assert posted.metadata.delivery_id == "e1:h1"
        harness.handle(posted.record())
    harness.transport.answer(404)
    dead = harness.acknowledge()
    assert dead.outgoing.topic == DEAD
    _check(dead, source)
    replayed = _replay(dead)
    harness.handle(replayed)
    harness.transport.answer(404)
    again = harness.acknowledge()
    _check(again, source)
    assert again.metadata == replace(
        dead.metadata,
        attempts=1,
        replay=again.metadata.replay,
        first_failed_at=again.metadata.first_failed_at,
    )


def _replay(dead: Published) -> FakeRecord:
    dead_letter = dead.outgoing
    found = DeadLetterRecord(
        DEAD,
        0,
        3,
        0,
        dead_letter.key,
        dead_letter.value,
        0,
        dead.metadata,
        original_headers(dead.headers),
    )
    copy = Route(RETRY_TOPICS[0].topic, {"event"}, GROUP).message(found, 1_800_000_000.0)
    return FakeRecord(copy.value, copy.topic, 0, 9, 0, copy.key, copy.headers)


@given(
    headers=HEADERS,
    key=VALUES,
    value=st.none() | st.binary().filter(lambda value: not value.strip().startswith(b"{")),
    timestamp=TIMESTAMPS,
)
def test_headers_travel_with_what_is_no_event(
    headers: Headers, key: bytes | None, value: bytes | None, timestamp: int
) -> None:
    """An undecodable record keeps its key, value and headers in its dead letter, and its replay to
    the source topic has them too, beside what tells of the replay.
    """
    harness = PipelineHarness(make_hook("h1"))
    source = FakeRecord(value, "event", 0, 7, timestamp, key, headers)
    harness.handle(source)
    dead = harness.acknowledge()
    assert dead.metadata.reason == "undecodable"
    _check(dead, source)
    replayed = replace(_replay(dead), topic="event", offset=7, timestamp=timestamp)
    added = {name for name, _ in replayed.headers if name in OWN_HEADERS}
    assert added == {f"hookstream-replayed-{what}" for what in ("from", "at", "by")}
    harness.handle(replayed)
    again = harness.acknowledge()
    _check(again, source)
    assert again.metadata.replay is not None


@given(headers=NOT_REPLAYED)
def test_no_header_of_a_source_record_stops_its_event(headers: Headers) -> None:
    """A source topic may be another installation's retry topic, or be written by an enemy: only the
    mark of another group's replay makes a record passed over.
    """
    harness = PipelineHarness(make_hook("h1"))
    harness.handle(FakeRecord(EVENT, headers=headers))
    assert len(harness.transport.sent) == 1
    harness.transport.answer(503)
    (posted,) = harness.post
    assert posted.metadata.replay is None
    assert posted.metadata.attempts == 1


@given(headers=HOSTILE)
def test_a_record_on_a_retry_topic_has_one_outcome(headers: Headers) -> None:
    """Whatever headers a record on a retry topic has, it is passed over, sent, deferred again or
    dead-lettered, and a dead letter without its value is small.
    """
    harness = PipelineHarness(make_hook("h1"), make_hook("h2"))
    record = FakeRecord(EVENT, RETRY_TOPICS[0].topic, headers=headers)
    if harness.handler.is_foreign(record):
        assert read_group(headers) != GROUP.encode()
        return
    harness.handle(record)
    assert len(harness.transport.sent) + len(harness.post) == 1
    if harness.post:
        dead_letter = harness.outbox._queue.popleft()
        smaller = dead_letter.smaller()
        assert smaller is not None
        posted = Published(smaller)
        assert posted.outgoing.value == b""
        assert posted.metadata.reason == "too_large"
        smallest = smaller.smaller()
        assert smallest is not None
        posted = Published(smallest)
        assert {name for name, _ in posted.headers} <= OWN_HEADERS
        assert sum(len(value or b"") for _, value in posted.headers) < 64 * 1024
        assert smallest.smaller() is None


@given(headers=HOSTILE)
def test_an_outgoing_record_can_be_read_again(headers: Headers) -> None:
    """What is read from any headers without an error is written so that it is read the same."""
    try:
        metadata = read_delivery_metadata(headers)
    except UndecodableError:
        return
    assert read_delivery_metadata(metadata.headers(GROUP)) == metadata
