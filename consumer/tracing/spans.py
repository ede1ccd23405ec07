"""Spans of sampled events, until they are exported."""

import asyncio
from collections.abc import Mapping
from typing import Literal, Protocol

from consumer.clock import Clock
from consumer.tracing.context import Sampler, SpanContext

Kind = Literal["consumer", "client", "producer"]
Attributes = dict[str, str | int]
"""By their names in OpenTelemetry's semantic conventions."""
LAST_EXPORT_SHARE = 0.05
"""Share of the grace of a stop for the last export."""
_SPAN_ID_BITS = 64
_KAFKA: Mapping[str, str] = {"messaging.system": "kafka"}


class SpanSink(Protocol):
    """Takes spans that have ended."""

    def add(self, span: "Span") -> None:
        """Take one span; neither blocks nor raises (invariant 8)."""
        ...

    def close(self, seconds: float) -> None:
        """Export what is there, in a thread other than the loop's, within `seconds`."""
        ...


class Span:
    """One operation, which has ended once it is in a `SpanSink`."""

    __slots__ = (
        "_tracer", "attributes", "context", "ended_at", "error", "kind", "name", "parent_id",
        "started_at",
    )  # fmt: skip

    def __init__(
        self,
        tracer: "Tracer",
        name: str,
        kind: Kind,
        parent: SpanContext,
        attributes: Attributes,
    ) -> None:
        self._tracer = tracer
        self.name = name
        self.kind: Kind = kind
        self.context = SpanContext(parent.trace_id, tracer.new_span_id(), parent.tracestate)
        self.parent_id = parent.span_id
        """0: the trace begins with it."""
        self.attributes = attributes
        self.started_at = tracer.clock.now()
        """Epoch seconds."""
        self.ended_at: float | None = None
        """Epoch seconds; None while it is under way."""
        self.error = ""
        """The kind of error, also in the attribute `error.type`; "": none."""

    def __repr__(self) -> str:
        return f"<Span {self.name}, {self.context.traceparent}>"

    def fail(self, error: str) -> None:
        """Note an error; the first one stays."""
        if not self.error:
            self.error = self.attributes["error.type"] = error

    def end(self) -> None:
        """End now. A span ends once."""
        if self.ended_at is None:
            self.ended_at = self._tracer.clock.now()
            self._tracer.sink.add(self)


class ProcessSpan(Span):
    """The work on one consumed record, until all its deliveries are settled."""

    __slots__ = ("_has_children",)

    def __init__(
        self, tracer: "Tracer", parent: SpanContext, topic: str, partition: int, offset: int
    ) -> None:
        attributes: Attributes = {
            **_KAFKA,
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.destination.name": topic,
            "messaging.destination.partition.id": str(partition),
            "messaging.kafka.offset": offset,
            "messaging.consumer.group.name": tracer.group,
        }
        super().__init__(tracer, f"process {topic}", "consumer", parent, attributes)
        self._has_children = False

    def send(self, topic: str, attributes: Attributes) -> Span:
        """Begin to write a record to `topic`: it ends when Kafka has acknowledged it."""
        self._has_children = True
        conventions: Attributes = {
            **_KAFKA,
            "messaging.operation.name": "send",
            "messaging.operation.type": "send",
            "messaging.destination.name": topic,
        }
        name = f"send {topic}"
        return Span(self._tracer, name, "producer", self.context, conventions | attributes)

    def request(self, seconds: float, attributes: Attributes, error: str) -> None:
        """Record a GET that has ended now, and took so many seconds; `error`: "" for none."""
        self._has_children = True
        span = Span(self._tracer, "GET", "client", self.context, attributes)
        span.started_at -= seconds
        if error:
            span.fail(error)
        span.end()

    def put_back(self) -> None:
        """End because the record waits again, where it was. If nothing was done for it, nothing is
        recorded: a record of the overflow topic may be looked at many times.
        """
        if self._has_children:
            self.end()


class Tracer:
    """Begins the spans of sampled records."""

    def __init__(self, sampler: Sampler, sink: SpanSink, clock: Clock, group: str) -> None:
        """`group`: `kafka.group_id`."""
        self.sampler = sampler
        self.sink = sink
        self.clock = clock
        self.group = group

    def new_span_id(self) -> int:
        """An id that no other span of the trace has."""
        return self.sampler.random_bits(_SPAN_ID_BITS) or 1

    async def close(self, grace: float) -> None:
        """Export the rest; `grace`: seconds for the whole stop of the process."""
        await asyncio.to_thread(self.sink.close, grace * LAST_EXPORT_SHARE)

    def process(self, parent: SpanContext, topic: str, partition: int, offset: int) -> ProcessSpan:
        """Begin the work on one record."""
        return ProcessSpan(self, parent, topic, partition, offset)
