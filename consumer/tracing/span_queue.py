"""The way of spans from the event loop to the exporter, in a thread of its own."""

from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from threading import Event, Thread
from typing import Final, Protocol

from consumer.background import briefly
from consumer.logs import get_logger
from consumer.tracing.spans import Span

log = get_logger(__name__)

MAX_SPANS: Final = 8_192
"""Spans that wait for the exporter; each takes some 2 KB."""
BATCH_SPANS: Final = 512
"""Spans of one request to the collector; so many are exported before the second is over."""
EXPORT_SECONDS: Final = 5.0
"""Between two exports, as in OpenTelemetry's batch processor: a request costs as much as 40 spans.
"""


class ExportError(Exception):
    """The collector did not take a batch; the text says why, for people."""


class Exporter(Protocol):
    """Sends spans to a collector; used by one thread."""

    def export(self, spans: Sequence[Span]) -> None:
        """Send spans, also repeatedly, within a time limit; raises `ExportError`."""
        ...

    def abort(self) -> None:
        """Repeat nothing from now on; called from another thread."""
        ...


class SpanQueue:
    """A bounded queue in front of the exporter: the `SpanSink` of the daemon.

    A span that does not fit, or that the collector does not take, is dropped and counted.
    """

    def __init__(self, exporter: Exporter, *, max_spans: int = MAX_SPANS) -> None:
        self._exporter = exporter
        self._max_spans = max_spans
        self._spans: deque[Span] = deque()
        self._refused = 0
        """Of the event loop's thread."""
        self._failed = 0
        """Of the exporter's thread."""
        self._under_way = 0
        """Spans of the batch that is being exported."""
        self._failing = False
        self._wake = Event()
        self._stopping = False
        self._abandoned = False
        self._thread = Thread(target=self._run, name="traces", daemon=True)

    @property
    def dropped(self) -> int:
        """Spans that no collector has."""
        return self._refused + self._failed

    def start(self) -> None:
        """Begin to export."""
        self._thread.start()

    def add(self, span: Span) -> None:
        """See `SpanSink.add`."""
        waiting = len(self._spans)
        if waiting >= self._max_spans or self._abandoned:
            self._refused += 1
            return
        self._spans.append(span)
        if waiting == BATCH_SPANS:
            self._wake.set()

    def close(self, seconds: float) -> None:
        """Export the rest, within `seconds`; what is left then is dropped and counted. Blocks: the
        event loop calls it in another thread.
        """
        self._stopping = True
        self._wake.set()
        self._thread.join(seconds)
        self._abandoned = True
        self._exporter.abort()
        if self._thread.is_alive():
            self._refused += len(self._spans) + self._under_way
        if self.dropped:
            log.warning("spans were dropped", dropped=self.dropped)

    def _run(self) -> None:
        while not self._stopping:
            self._wake.wait(EXPORT_SECONDS)
            self._wake.clear()
            self._export_all()
        self._export_all()

    def _export_all(self) -> None:
        while self._spans and not self._abandoned:
            batch: list[Span] = []
            with suppress(IndexError):
                while len(batch) < BATCH_SPANS:
                    batch.append(self._spans.popleft())
            self._under_way = len(batch)
            try:
                briefly(lambda spans=batch: self._exporter.export(spans))  # type: ignore[misc]
            except Exception as error:  # noqa: BLE001  # a bug here must not end the export
                self._note_failure(len(batch), error)
            else:
                self._note_success()
            self._under_way = 0

    def _note_failure(self, spans: int, error: Exception) -> None:
        if self._abandoned:  # `close` has counted them
            return
        self._failed += spans
        if not self._failing:
            self._failing = True
            log.warning("traces are not exported; deliveries go on without", error=str(error))

    def _note_success(self) -> None:
        if self._failing:
            self._failing = False
            log.info("traces are exported again", dropped=self.dropped)
