"""What is recorded of a sampled event on its way, and that nothing is of the others."""

from collections.abc import Sequence

import pytest

from consumer.delivery.http.transport import AttemptResult
from consumer.reasons import ErrorKind
from consumer.tracing.spans import Span
from support.fakes import FakeRecord, make_hook, make_record, make_value
from support.pipeline_harness import DEAD, EVENT, OVERFLOW, RETRY_TOPICS, PipelineHarness, Published

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED = ("traceparent", f"00-{TRACE}-{PARENT}-01".encode())
NOT_SAMPLED = ("traceparent", f"00-{TRACE}-{PARENT}-00".encode())
OWN = "hookstream-traceparent"
RETRY = RETRY_TOPICS[0].topic


def _record(*headers: tuple[str, bytes]) -> FakeRecord:
    return make_record(EVENT, headers=headers, offset=7)


def _parents(harness: PipelineHarness) -> dict[str, str | None]:
    """By the name of each span, the name of its parent; None: it is not hookstream's."""
    return {
        span.name: parent.name if (parent := harness.spans.parent(span)) else None
        for span in harness.spans.ended
    }


def _only(spans: Sequence[Span], name: str) -> Span:
    [span] = [span for span in spans if span.name == name]
    return span


def _own(published: Published) -> str | None:
    return {name: (value or b"").decode() for name, value in published.headers}.get(OWN)


def test_a_delivered_event_is_one_trace() -> None:
    """The work on a sampled event is a child of its producer's span, and its GET a child of that,
    with the attributes of the conventions and no value of the event.
    """
    user = [("u", make_value("event", "data.event_key"))]
    hook = make_hook("h2", uri="https://h.example:8443/a?key=s3cret", parameters=user)
    harness = PipelineHarness(hook, sample=0.0)
    harness.handle(_record(SAMPLED, ("tracestate", b"vendor=1")))
    harness.clock.advance(0.25)
    harness.transport.answer(204)
    get, process = harness.spans.ended
    assert (process.name, process.kind) == ("process event", "consumer")
    assert f"{process.context.trace_id:032x}" == TRACE
    assert f"{process.parent_id:016x}" == PARENT
    assert process.context.tracestate == get.context.tracestate == "vendor=1"
    assert process.attributes == {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "event",
        "messaging.destination.partition.id": "0",
        "messaging.kafka.offset": 7,
        "messaging.consumer.group.name": "hookstream",
    }
    assert (get.name, get.kind, get.error) == ("GET", "client", "")
    assert harness.spans.parent(get) is process
    assert get.attributes == {
        "http.request.method": "GET",
        "http.request.resend_count": 0,
        "http.response.status_code": 204,
        "server.address": "h.example",
        "server.port": 8443,
        "url.full": "https://h.example:8443/a?key=REDACTED&u=REDACTED",
        "url.template": "/a",
        "hookstream.hook": "h2",
        "hookstream.delivery_id": "e1:h2",
    }
    assert process.started_at <= get.started_at
    assert get.ended_at == process.ended_at == harness.clock.now()


def test_one_trace_goes_on_through_all_retries() -> None:
    """A deferred delivery is one trace from its first attempt to its last: each record is sent by a
    span, and the work on it is that span's child. The producer's header stays as it was.
    """
    harness = PipelineHarness(make_hook("h1"), sample=0.0)
    harness.handle(_record(SAMPLED))
    harness.transport.answer(503)
    first = harness.acknowledge()
    harness.clock.advance(12.0)
    harness.handle(first.record(offset=70))
    harness.transport.answer(200)
    assert harness.spans.names == [
        "GET", f"send {RETRY}", "process event", "GET", f"process {RETRY}",
    ]  # fmt: skip
    assert _parents(harness) == {
        "process event": None,
        "GET": f"process {RETRY}",
        f"send {RETRY}": "process event",
        f"process {RETRY}": f"send {RETRY}",
    }
    assert {f"{span.context.trace_id:032x}" for span in harness.spans.ended} == {TRACE}
    send = _only(harness.spans.ended, f"send {RETRY}")
    assert send.kind == "producer"
    assert send.attributes == {
        "messaging.system": "kafka",
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.destination.name": RETRY,
        "hookstream.hook": "h1",
        "hookstream.delivery_id": "e1:h1",
        "hookstream.reason": "503",
    }
    assert _own(first) == send.context.traceparent
    assert SAMPLED in first.headers
    requests = [span for span in harness.spans.ended if span.name == "GET"]
    assert [span.attributes["http.request.resend_count"] for span in requests] == [0, 1]
    assert [span.error for span in requests] == ["503", ""]


@pytest.mark.parametrize(("headers", "sample"), [([NOT_SAMPLED], 1.0), ([], 0.0)])
def test_nothing_is_recorded_of_an_event_that_is_not_sampled(
    headers: list[tuple[str, bytes]], sample: float
) -> None:
    """An event that is not sampled has no span at any stage and no own header, also if the replica
    that reads it later samples every event.
    """
    harness = PipelineHarness(make_hook("h1"), sample=sample)
    harness.handle(_record(*headers))
    harness.transport.answer(503)
    first = harness.acknowledge()
    assert _own(first) is None
    later = PipelineHarness(make_hook("h1"), sample=1.0)
    later.handle(first.record(offset=70))
    later.transport.answer(200)
    assert harness.spans.ended == later.spans.ended == []


def test_the_share_begins_a_trace() -> None:
    """An event without a `traceparent` that is in the share begins a trace, which goes on through
    retries by hookstream's own header.
    """
    harness = PipelineHarness(make_hook("h1"), sample=1.0)
    harness.handle(_record(("tracestate", b"vendor=1")))
    harness.transport.answer(503)
    first = harness.acknowledge()
    process = _only(harness.spans.ended, "process event")
    assert process.parent_id == 0
    assert process.context.tracestate == ""
    assert "traceparent" not in dict(first.headers)
    harness.handle(first.record(offset=70))
    harness.transport.answer(200)
    assert len({span.context.trace_id for span in harness.spans.ended}) == 1
    assert _parents(harness)[f"process {RETRY}"] == f"send {RETRY}"


def test_a_replica_without_tracing_passes_the_trace_along() -> None:
    """A replica without tracing keeps the trace of a deferred record in its headers."""
    harness = PipelineHarness(make_hook("h1"), sample=1.0)
    harness.handle(_record(SAMPLED))
    harness.transport.answer(503)
    first = harness.acknowledge()
    other = PipelineHarness(make_hook("h1"))
    other.handle(first.record(offset=70))
    other.transport.answer(503)
    assert _own(other.acknowledge()) == _own(first) is not None


def test_a_header_of_another_program_harms_nothing() -> None:
    """A deferred record whose own header is malformed is delivered, without a trace."""
    harness = PipelineHarness(make_hook("h1"), sample=1.0)
    harness.handle(_record())
    harness.transport.answer(503)
    posted = harness.acknowledge()
    harness.spans.ended.clear()
    headers = [(name, b"00-1" if name == OWN else value) for name, value in posted.headers]
    tracker = harness.handle(posted.record(headers=headers, offset=70))
    harness.transport.answer(200)
    assert tracker.committable == 71
    assert harness.spans.ended == []


def test_a_dead_letter_is_the_end_of_its_trace() -> None:
    """The record of a dead letter has a span, the work on its event has failed with its reason, and
    a replay goes on with the trace.
    """
    harness = PipelineHarness(make_hook("h1"), sample=0.0)
    harness.handle(_record(SAMPLED))
    harness.transport.answer(404)
    dead = harness.acknowledge()
    send = _only(harness.spans.ended, f"send {DEAD}")
    assert send.attributes["hookstream.reason"] == "permanent"
    assert send.error == ""
    assert _only(harness.spans.ended, "process event").error == "permanent"
    assert _own(dead) == send.context.traceparent


def test_records_without_a_delivery_are_recorded() -> None:
    """The work on a sampled event that matches no hook is recorded, and so is that on a record
    which is no event.
    """
    harness = PipelineHarness(make_hook("h1", select=frozenset({"other"})), sample=0.0)
    harness.handle(_record(SAMPLED))
    assert harness.spans.names == ["process event"]
    harness.spans.ended.clear()
    harness.handle(FakeRecord(b"{", headers=[SAMPLED], offset=8))
    harness.acknowledge()
    assert _parents(harness) == {f"send {DEAD}": "process event", "process event": None}
    assert _only(harness.spans.ended, "process event").error == "undecodable"


def test_all_deliveries_of_an_event_belong_to_its_span() -> None:
    """The work on an event ends with the last of its deliveries, and has a GET for each."""
    harness = PipelineHarness(make_hook("h1"), make_hook("h2"), sample=0.0)
    harness.handle(_record(SAMPLED))
    harness.transport.answer(200)
    assert harness.spans.names == ["GET"]
    harness.transport.answer(AttemptResult(error=ErrorKind.TIMEOUT))
    assert harness.spans.names == ["GET", "GET"]
    timed_out = harness.spans.ended[1]
    assert timed_out.attributes["error.type"] == timed_out.error == "timeout"
    assert "http.response.status_code" not in timed_out.attributes
    harness.acknowledge()
    assert harness.spans.names[2:] == [f"send {RETRY}", "process event"]


def test_overflow_is_part_of_the_trace() -> None:
    """A delivery that waits in the overflow topic is sent there and taken from there in its trace.
    A look at it that leads to nothing is not recorded.
    """
    harness = PipelineHarness(make_hook("h1"), sample=0.0)
    harness.handle(_record(SAMPLED))
    harness.handler.release(lambda _record: True)
    harness.transport.answer(AttemptResult(status=429, retry_after=60.0))
    harness.handler.release(lambda _record: True)
    waiting = harness.acknowledge()
    assert waiting.outgoing.topic == OVERFLOW
    assert harness.spans.names[-2:] == [f"send {OVERFLOW}", "process event"]
    harness.spans.ended.clear()
    tracker = harness.assign_overflow()
    indexed = harness.index(waiting.record(), tracker)
    harness.take(indexed, tracker)
    harness.handler.release(lambda _record: True)
    assert harness.spans.ended == []
    assert tracker.waits(indexed.offset)
    harness.clock.advance(61.0)
    harness.take(indexed, tracker)
    harness.transport.answer(200)
    assert harness.spans.names == ["GET", f"process {OVERFLOW}"]


def test_a_lost_partition_ends_the_work() -> None:
    """An attempt whose record another replica has meanwhile ends the work on it, as failed."""
    harness = PipelineHarness(make_hook("h1"), sample=0.0)
    tracker = harness.handle(_record(SAMPLED))
    tracker.revoked = True
    harness.transport.answer(200)
    assert harness.spans.names == ["GET", "process event"]
    assert harness.spans.ended[1].error == "revoked"


def test_a_dead_letter_that_is_too_large_fails_its_first_send() -> None:
    """A record that Kafka refuses as too large ends its span with that error, and the smaller one
    in its place has its own.
    """
    harness = PipelineHarness(make_hook("h1"), sample=0.0)
    harness.handle(_record(SAMPLED))
    harness.transport.answer(404)
    smaller = harness.post[0].outgoing.smaller()
    assert smaller is not None
    [failed] = [span for span in harness.spans.ended if span.name == f"send {DEAD}"]
    assert failed.error == "too_large"
    smaller.acknowledged()
    assert harness.spans.names[-2:] == [f"send {DEAD}", "process event"]
