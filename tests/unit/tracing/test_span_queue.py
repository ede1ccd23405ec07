"""The queue of spans: bounded, counted, and never in anyone's way."""

import logging
from collections.abc import Sequence
from random import Random
from threading import Event

import pytest

from consumer.tracing.context import Sampler, SpanContext
from consumer.tracing.span_queue import BATCH_SPANS, ExportError, SpanQueue
from consumer.tracing.spans import Span, Tracer
from support.fakes import FakeClock
from support.kept_spans import KeptSpans
from support.waiting import PATIENCE


class FakeExporter:
    """Takes batches, fails with `error`, or waits until it may go on."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.error: Exception | None = None
        self.began = Event()
        self.may_go_on = Event()
        self.may_go_on.set()
        self.aborted = False

    def export(self, spans: Sequence[Span]) -> None:
        """See `Exporter.export`."""
        self.began.set()
        self.may_go_on.wait(PATIENCE)
        if self.error is not None:
            raise self.error
        self.batches.append(len(spans))

    def abort(self) -> None:
        """See `Exporter.abort`."""
        self.aborted = True


@pytest.fixture
def exporter() -> FakeExporter:
    """An exporter whose collector is the test's."""
    return FakeExporter()


def _span() -> Span:
    sampler = Sampler(1.0, Random(1).getrandbits)  # noqa: S311  # the same each time
    tracer = Tracer(sampler, KeptSpans(), FakeClock(), "group")
    return Span(tracer, "a span", "client", SpanContext(1, 2), {})


def test_spans_are_exported_in_batches(exporter: FakeExporter) -> None:
    """All spans are exported by the time that the queue is closed, in batches of a bounded size."""
    queue = SpanQueue(exporter)
    for _ in range(2 * BATCH_SPANS + 1):
        queue.add(_span())
    queue.start()
    queue.close(PATIENCE)
    assert sum(exporter.batches) == 2 * BATCH_SPANS + 1
    assert max(exporter.batches) == BATCH_SPANS
    assert queue.dropped == 0


def test_what_does_not_fit_is_dropped_and_counted(exporter: FakeExporter) -> None:
    """While the exporter hangs the queue is bounded; what does not fit is counted."""
    exporter.may_go_on.clear()
    queue = SpanQueue(exporter, max_spans=BATCH_SPANS + 1)
    queue.start()
    for _ in range(BATCH_SPANS + 1):
        queue.add(_span())
    assert exporter.began.wait(PATIENCE)
    while queue.dropped < 3:
        queue.add(_span())
    exporter.may_go_on.set()
    queue.close(PATIENCE)
    assert queue.dropped == 3


def test_a_stop_does_not_wait_for_a_collector_that_hangs(
    exporter: FakeExporter, caplog: pytest.LogCaptureFixture
) -> None:
    """A close returns when its time is over, although the exporter hangs; what is left is counted
    and told, and a batch that ends later is not counted twice.
    """
    exporter.may_go_on.clear()
    queue = SpanQueue(exporter)
    for _ in range(BATCH_SPANS + 5):
        queue.add(_span())
    queue.start()
    assert exporter.began.wait(PATIENCE)
    queue.close(0.01)
    assert exporter.aborted
    assert queue.dropped == BATCH_SPANS + 5
    assert "spans were dropped" in caplog.messages
    exporter.error = ExportError("too late")
    exporter.may_go_on.set()
    queue._thread.join(PATIENCE)
    assert queue.dropped == BATCH_SPANS + 5


@pytest.mark.parametrize("error", [ExportError("refused"), ValueError("a bug")])
def test_a_collector_that_is_away_is_told_once(
    exporter: FakeExporter, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """Spans that the collector does not take are counted, and the log has one line when that begins
    and one when it ends; even a bug in the exporter does not end the export.
    """
    caplog.set_level(logging.INFO)
    exporter.error = error
    queue = SpanQueue(exporter)
    for _ in range(3 * BATCH_SPANS):
        queue.add(_span())
    queue._export_all()
    assert queue.dropped == 3 * BATCH_SPANS
    exporter.error = None
    for _ in range(2 * BATCH_SPANS):
        queue.add(_span())
    queue._export_all()
    assert sum(exporter.batches) == 2 * BATCH_SPANS
    assert caplog.messages == [
        "traces are not exported; deliveries go on without",
        "traces are exported again",
    ]
