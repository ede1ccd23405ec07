"""The way to the collector: its address, a missing SDK, and a collector that is away."""

import sys
from contextlib import AsyncExitStack
from random import Random

import pytest
from prometheus_client import CollectorRegistry

from consumer.assembly import make_tracer
from consumer.errors import HookstreamError
from consumer.metrics import Metrics
from consumer.settings import Settings, TracingSettings
from consumer.tracing.context import Sampler, SpanContext
from consumer.tracing.otlp import OtlpExporter, traces_url
from consumer.tracing.span_queue import ExportError, SpanQueue
from consumer.tracing.spans import Span, Tracer
from support.broker import free_port
from support.fakes import FakeClock
from support.kept_spans import KeptSpans

ENDPOINT = Settings(tracing=TracingSettings(endpoint="http://127.0.0.1:4318"))


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("http://c:4318", "http://c:4318/v1/traces"),
        ("http://c:4318/", "http://c:4318/v1/traces"),
        ("https://c/otlp", "https://c/otlp/v1/traces"),
        ("https://c/otlp/v1/traces", "https://c/otlp/v1/traces"),
    ],
)
def test_the_endpoint_may_have_the_path_or_not(endpoint: str, url: str) -> None:
    """The path of traces is added to an endpoint that does not have it."""
    assert traces_url(endpoint) == url


def test_without_the_sdk_the_start_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint without the SDK is an error with the setting's name and the extra to install."""
    monkeypatch.setitem(sys.modules, "consumer.tracing.otlp", None)
    metrics = Metrics("0", CollectorRegistry())
    with pytest.raises(HookstreamError, match=r"tracing\.endpoint .*hookstream\[tracing\]"):
        make_tracer(ENDPOINT, "replica", metrics, FakeClock(), AsyncExitStack())


def test_without_an_endpoint_there_is_no_tracer() -> None:
    """Without an endpoint there is no tracer, whatever the share, and no metric of it."""
    metrics = Metrics("0", CollectorRegistry())
    settings = Settings(tracing=TracingSettings(sample=1.0))
    assert make_tracer(settings, "replica", metrics, FakeClock(), AsyncExitStack()) is None
    assert metrics.registry.get_sample_value("hookstream_spans_dropped_total") is None


async def test_a_tracer_is_closed_within_its_part_of_the_grace() -> None:
    """A tracer counts what it drops in its metric, and ends with a stop."""
    metrics = Metrics("0", CollectorRegistry())
    async with AsyncExitStack() as stack:
        tracer = make_tracer(ENDPOINT, "replica", metrics, FakeClock(), stack)
        assert isinstance(tracer, Tracer)
        assert isinstance(tracer.sink, SpanQueue)
        assert metrics.registry.get_sample_value("hookstream_spans_dropped_total") == 0.0
    assert not tracer.sink._thread.is_alive()


def test_a_collector_that_is_away_is_an_error_with_its_cause(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A batch that no collector takes is an error that says why, after the time-out; the SDK itself
    writes nothing to standard error.
    """
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.1")
    exporter = OtlpExporter(f"http://127.0.0.1:{free_port()}", "1", "replica")
    tracer = Tracer(Sampler(1.0, Random(1).getrandbits), KeptSpans(), FakeClock(), "g")  # noqa: S311  # the same each time
    with pytest.raises(ExportError, match="Failed to export"):
        exporter.export([Span(tracer, "a span", "client", SpanContext(1, 2), {})])
    exporter.abort()
    assert capfd.readouterr().err == ""
