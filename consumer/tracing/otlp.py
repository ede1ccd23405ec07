"""The OpenTelemetry SDK: sends spans to a collector by OTLP over HTTP.

Only imported if `tracing.endpoint` is set. The SDK reads its own environment for what hookstream
has no setting for: `OTEL_EXPORTER_OTLP_HEADERS`, `..._CERTIFICATE`, `..._COMPRESSION`,
`..._TIMEOUT`, `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource as WireResource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, SpanFlags, Status
from opentelemetry.proto.trace.v1.trace_pb2 import Span as WireSpan
from opentelemetry.sdk.resources import OTELResourceDetector, Resource

from consumer.tracing.span_queue import ExportError
from consumer.tracing.spans import Kind, Span

TRACES_PATH: Final = "/v1/traces"
"""Where a collector takes traces (OTLP specification, section "OTLP/HTTP Request")."""
_KINDS: Final[Mapping[Kind, WireSpan.SpanKind.ValueType]] = {
    "consumer": WireSpan.SPAN_KIND_CONSUMER,
    "client": WireSpan.SPAN_KIND_CLIENT,
    "producer": WireSpan.SPAN_KIND_PRODUCER,
}
_LOCAL_PARENT: Final = SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK
_REMOTE_PARENT: Final = _LOCAL_PARENT | SpanFlags.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK
_FAILED: Final = Status(code=Status.STATUS_CODE_ERROR)
_SDK_LOGGER: Final = "opentelemetry"
_EXPORTER_LOGGER: Final = "opentelemetry.exporter.otlp.proto.http.trace_exporter"


class OtlpExporter:
    """The `span_queue.Exporter` of the daemon."""

    def __init__(self, endpoint: str, version: str, instance: str) -> None:
        """`endpoint`: a URL, with or without `TRACES_PATH`; `version`: hookstream's; `instance`:
        the replica's id.
        """
        detected = OTELResourceDetector().detect().attributes
        named = {
            "service.name": "hookstream",
            "service.version": version,
            "service.instance.id": instance,
        }
        resource = Resource.create({**named, **detected}).attributes
        attributes = [_attribute(*fact) for fact in resource.items()]
        self._resource = WireResource(attributes=attributes)
        self._scope = InstrumentationScope(name="hookstream", version=version)
        self._said = _Lines()
        logging.getLogger(_SDK_LOGGER).propagate = False
        self._logger = logging.getLogger(_EXPORTER_LOGGER)
        self._logger.setLevel(logging.WARNING)  # whatever `log.level` is
        self._logger.addFilter(self._said)
        self._sender = _Sender(endpoint=traces_url(endpoint))

    def export(self, spans: Sequence[Span]) -> None:
        """See `Exporter.export`."""
        self._said.texts.clear()
        scope = ScopeSpans(scope=self._scope, spans=[_wire(span) for span in spans])
        batch = ResourceSpans(resource=self._resource, scope_spans=[scope])
        body = ExportTraceServiceRequest(resource_spans=[batch]).SerializeToString()
        if not self._sender.send(body):
            said = self._said.texts or ["the exporter failed without a word"]
            raise ExportError(" ... ".join(dict.fromkeys([said[0], said[-1]])))

    def abort(self) -> None:
        """See `Exporter.abort`."""
        self._sender.shutdown()  # type: ignore[no-untyped-call]
        self._logger.removeFilter(self._said)


class _Sender(OTLPSpanExporter):
    """The SDK's exporter, with its settings and its retries, for what is encoded already: its own
    encoder takes ten times as long.
    """

    def send(self, body: bytes) -> bool:
        """Send a request; returns whether the collector took it."""
        return self._client.export(body).success


def traces_url(endpoint: str) -> str:
    """The URL of an endpoint: OpenTelemetry's base URL, or the whole one."""
    return endpoint if endpoint.endswith(TRACES_PATH) else endpoint.rstrip("/") + TRACES_PATH


def _wire(span: Span) -> WireSpan:
    """The message of a span: nested mappings cost a third of nested messages."""
    context = span.context
    is_remote = span.kind == "consumer" and span.parent_id
    return WireSpan(
        trace_id=context.trace_id.to_bytes(16, "big"),
        span_id=context.span_id.to_bytes(8, "big"),
        parent_span_id=span.parent_id.to_bytes(8, "big") if span.parent_id else b"",
        trace_state=context.tracestate,
        name=span.name,
        kind=_KINDS[span.kind],
        start_time_unix_nano=_nanoseconds(span.started_at),
        end_time_unix_nano=_nanoseconds(span.ended_at or span.started_at),
        attributes=[_attribute(*fact) for fact in span.attributes.items()],
        status=_FAILED if span.error else None,
        flags=_REMOTE_PARENT if is_remote else _LOCAL_PARENT,
    )


def _attribute(name: str, value: Any) -> Any:
    kind = "int_value" if type(value) is int else "string_value"
    return {"key": name, "value": {kind: value if type(value) is int else str(value)}}


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1_000_000_000)


class _Lines(logging.Filter):
    """Takes the exporter's lines, which tell why it failed: the queue says it once, and not for
    each batch and try.
    """

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep the line, and let it go no further."""
        self.texts.append(record.getMessage())
        return False
