"""Records on their way to a retry or dead-letter topic."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum

from consumer.logs import get_logger
from consumer.metrics.hooks import HookMetrics
from consumer.reasons import Reason
from consumer.records.delivery_metadata import DeliveryMetadata
from consumer.records.header_sink import HeaderSink
from consumer.records.headers import original_headers
from consumer.records.order_lines import OrderLines
from consumer.records.tracker import InFlightRecord
from consumer.tracing.spans import Attributes, ProcessSpan, Span

log = get_logger(__name__)


class Content(Enum):
    """How much of the consumed record an outgoing record carries."""

    WHOLE = "whole"
    NO_VALUE = "no value"
    OWN_HEADERS = "own headers"


@dataclass(frozen=True, slots=True)
class Writer:
    """Facts that all records of one process share."""

    group: str
    """`kafka.group_id`."""
    dead_letter_topic: str
    overflow_topic: str
    gave_up: Callable[[DeliveryMetadata], None]
    """Is told of each delivery that is dead-lettered in place of a deferral."""
    lines: OrderLines
    """Is told what becomes of the deliveries that keep an order."""


class OutgoingRecord:
    """One record for a retry or dead-letter topic: an `outbox.PublishedRecord`.

    The broker's acknowledgement settles its delivery. Its headers are made when it is sent.
    """

    __slots__ = (
        "_content",
        "_span",
        "_writer",
        "line",
        "metadata",
        "metrics",
        "partition",
        "reason",
        "source_record",
        "topic",
    )

    def __init__(
        self,
        writer: Writer,
        topic: str,
        source_record: InFlightRecord,
        metadata: DeliveryMetadata,
        metrics: HookMetrics,
        *,
        reason: Reason | None,
        partition: int | None = None,
        line: int = 0,
        content: Content = Content.WHOLE,
    ) -> None:
        """`reason`: why it is dead-lettered; None if it is deferred. `partition`: see `Message`.
        `line`: the key of its delivery's line, or 0.
        """
        self._writer = writer
        self.topic = topic
        self.source_record = source_record
        self.metadata = metadata
        self.metrics = metrics
        self.reason = reason
        self.partition = partition
        self.line = line
        self._content = content
        self._span: Span | None = None
        if source_record.span is not None:
            self._begin_span(source_record.span)

    def _begin_span(self, process: ProcessSpan) -> None:
        """Record that it is sent, of a sampled event; the trace goes on from here."""
        metadata, reason = self.metadata, self.reason
        facts: Attributes = {
            "hookstream.hook": metadata.hook,
            "hookstream.delivery_id": metadata.delivery_id,
            "hookstream.reason": str(metadata.reason),
        }
        self._span = process.send(self.topic, {name: fact for name, fact in facts.items() if fact})
        self.metadata = replace(metadata, traceparent=self._span.context.traceparent)
        if reason is not None:
            process.fail(str(reason))

    def __repr__(self) -> str:
        return f"<OutgoingRecord to {self.topic}, {self._content.value}: {self.metadata}>"

    @property
    def key(self) -> bytes | None:
        """The consumed record's key; None without the value."""
        return self.source_record.record.key if self._content is Content.WHOLE else None

    @property
    def spread(self) -> bool:
        """True if another replica is to read it: the owner of the key's partition may be one that
        does not know the hook.
        """
        return self.metadata.unknown_since is not None

    @property
    def value(self) -> bytes | None:
        """The consumed record's value; empty if that was too large."""
        return self.source_record.record.value if self._content is Content.WHOLE else b""

    def write_headers(self, sink: HeaderSink) -> None:
        """Write hookstream's own headers, then the original ones."""
        self.metadata.write_headers(sink, self._writer.group)
        headers = self.source_record.record.headers
        if headers and self._content is not Content.OWN_HEADERS:
            sink.add_all(original_headers(headers))

    @property
    def is_ordered(self) -> bool:
        """See `Message.is_ordered`."""
        return self.line != 0 and self.partition is not None

    @property
    def wanted(self) -> bool:
        """See `PublishedRecord.wanted`."""
        return not self.source_record.revoked

    def acknowledged(self) -> None:
        """Count it, and settle its delivery."""
        if self.reason is not None:
            self.metrics.dead_lettered(self.reason)
        elif self.topic == self._writer.overflow_topic and self.metadata.not_before is None:
            self.metrics.overflowed()
        else:
            self.metrics.retried()
        if self._span is not None:
            self._span.end()
        self.source_record.ack_one()
        if self.line:
            if self.reason is None:
                self._writer.lines.acknowledged(self.line, self.source_record)
            else:
                self._writer.lines.end(self.line, self.source_record)

    def smaller(self) -> "OutgoingRecord | None":
        """A dead letter without the value, or then without the original headers: its own headers
        name the source from which the event can be read.
        """
        if self._content is Content.OWN_HEADERS:
            return None
        if self._span is not None:
            self._span.fail(str(Reason.TOO_LARGE))
            self._span.end()
        content = Content.OWN_HEADERS if self._content is Content.NO_VALUE else Content.NO_VALUE
        metadata = self.metadata
        detail = metadata.detail
        if self.reason is not Reason.TOO_LARGE:
            size = len(self.source_record.record.value or b"")
            why = f"{metadata.reason}: {detail}" if self.reason else metadata.reason
            detail = f"too large to publish: {size} bytes, see its source; {why}"
        log.debug("dead letter", reason=Reason.TOO_LARGE, delivery=metadata.delivery_id)
        dead = metadata.dead_lettered(Reason.TOO_LARGE, detail)
        if self.reason is None:
            self._writer.gave_up(dead)
        return OutgoingRecord(
            self._writer,
            self._writer.dead_letter_topic,
            self.source_record,
            dead,
            self.metrics,
            reason=Reason.TOO_LARGE,
            line=self.line,
            content=content,
        )
