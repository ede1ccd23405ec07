"""A collector of traces: an OTLP receiver over HTTP that keeps the spans it is sent."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as WireSpan

MEDIA_TYPE = "application/x-protobuf"


@dataclass(frozen=True)
class CollectedSpan:
    """One span as it came over the wire; ids in hex, "" for no parent."""

    name: str
    kind: str
    """`CONSUMER`, `CLIENT` or `PRODUCER`."""
    trace_id: str
    span_id: str
    parent_id: str
    tracestate: str
    attributes: Mapping[str, str | int]
    resource: Mapping[str, str | int]
    seconds: float
    failed: bool


class Collector:
    """Takes spans at `endpoint`, and keeps them."""

    def __init__(self) -> None:
        self.spans: list[CollectedSpan] = []
        self.bodies: list[bytes] = []
        """Each request as it came."""
        self._runner: web.AppRunner
        self._port = 0

    @property
    def endpoint(self) -> str:
        """The setting `tracing.endpoint`."""
        return f"http://127.0.0.1:{self._port}"

    def named(self, name: str) -> list[CollectedSpan]:
        """The spans of this name."""
        return [span for span in self.spans if span.name == name]

    def parent(self, span: CollectedSpan) -> CollectedSpan | None:
        """The span whose child `span` is; None: it is not here."""
        found = [one for one in self.spans if one.span_id == span.parent_id]
        return found[0] if found else None

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/v1/traces", self._take)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        assert request.content_type == MEDIA_TYPE
        body = await request.read()
        self.bodies.append(body)
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            about = _read(resource.resource.attributes)
            for scope in resource.scope_spans:
                self.spans += [_collected(span, about) for span in scope.spans]
        answer = ExportTraceServiceResponse().SerializeToString()
        return web.Response(body=answer, content_type=MEDIA_TYPE)


def _collected(span: WireSpan, resource: Mapping[str, str | int]) -> CollectedSpan:
    return CollectedSpan(
        name=span.name,
        kind=WireSpan.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        tracestate=span.trace_state,
        attributes=_read(span.attributes),
        resource=resource,
        seconds=(span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
        failed=bool(span.status.code),
    )


def _read(attributes: "Iterable[KeyValue]") -> dict[str, str | int]:
    read: dict[str, str | int] = {}
    for attribute in attributes:
        value = attribute.value
        read[attribute.key] = value.int_value if value.HasField("int_value") else value.string_value
    return read
