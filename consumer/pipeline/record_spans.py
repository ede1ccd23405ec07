"""Begins the spans of consumed records, and records their attempts."""

from consumer.delivery.http.redacted_url import redacted_url, url_template
from consumer.delivery.scheduling.delivery import Delivery
from consumer.delivery.scheduling.observers import AttemptDetails
from consumer.delivery.scheduling.retry_policy import Outcome
from consumer.records.delivery_metadata import DeliveryMetadata
from consumer.records.headers import TRACEPARENT, TRACESTATE, last_value
from consumer.records.record import Record
from consumer.tracing.context import SpanContext, parse_traceparent, parse_tracestate
from consumer.tracing.spans import Attributes, ProcessSpan, Tracer

_FIRST_ERROR_STATUS = 400


class RecordSpans:
    """Decides whether a record is traced, and is the `AttemptObserver` of those that are."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def begin(self, record: Record) -> ProcessSpan | None:
        """The span of a record of a source topic; None, after one look-up, if it is not sampled."""
        headers = record.headers
        traceparent = last_value(headers, TRACEPARENT) if headers else None
        parent = self._tracer.sampler.parent(traceparent)
        if parent is None:
            return None
        return self._process(record, parent)

    def resume(self, record: Record, metadata: DeliveryMetadata) -> ProcessSpan | None:
        """The span of a record of an own topic, in the trace of its event; None if that has none.
        What was not sampled at first stays so.
        """
        if not metadata.traceparent:
            return None
        known = parse_traceparent(metadata.traceparent.encode())
        if known is None:  # another program's
            return None
        return self._process(record, SpanContext(known.trace_id, known.span_id))

    def _process(self, record: Record, parent: SpanContext) -> ProcessSpan:
        if parent.span_id:
            parent.tracestate = parse_tracestate(last_value(record.headers, TRACESTATE))
        return self._tracer.process(parent, record.topic, record.partition, record.offset)

    def attempted(self, attempt: AttemptDetails) -> None:
        """See `AttemptObserver.attempted`."""
        source = attempt.delivery.source_record
        span = source.span
        if span is None:
            return
        error = _error(attempt)
        span.request(attempt.result.duration, _request_attributes(attempt), error)
        if source.revoked:  # nothing settles it any more
            span.fail("revoked")
            span.end()

    def ended_unsent(self, delivery: Delivery, outcome: Outcome) -> None:
        """See `AttemptObserver.ended_unsent`: the record that is sent has a span of its own."""


def _error(attempt: AttemptDetails) -> str:
    """The convention's `error.type` of an HTTP client."""
    result = attempt.result
    if result.error is not None:
        return str(result.error)
    return str(result.status) if result.status >= _FIRST_ERROR_STATUS else ""


def _request_attributes(attempt: AttemptDetails) -> Attributes:
    delivery = attempt.delivery
    hook = delivery.endpoint.hook
    address, _, port = hook.host_key.rpartition(":")
    attributes: Attributes = {
        "http.request.method": "GET",
        "http.request.resend_count": attempt.number - 1,
        "server.address": address.strip("[]"),
        "server.port": int(port),
        "url.full": redacted_url(hook),
        "url.template": url_template(hook),
        "hookstream.hook": hook.id,
        "hookstream.delivery_id": delivery.id,
    }
    if attempt.result.status:
        attributes["http.response.status_code"] = attempt.result.status
    return attributes
