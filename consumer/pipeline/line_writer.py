"""Writes deliveries that keep an order to the overflow partition of their line."""

from dataclasses import replace

from consumer.delivery.scheduling.delivery import Delivery
from consumer.metrics.hooks import HookMetrics
from consumer.records.delivery_metadata import DeliveryMetadata
from consumer.records.order_line import Line, order_text
from consumer.records.overflow_tracker import OverflowTracker
from consumer.records.tracker import InFlightRecord
from consumer.stream.outbox import Outbox
from consumer.stream.outgoing import OutgoingRecord, Writer
from consumer.stream.overflow_topic import OverflowTopic


def line_of(source_record: InFlightRecord) -> Line | None:
    """The line of a record that was taken out of the overflow topic as its line's next one."""
    tracker = source_record.tracker
    if isinstance(tracker, OverflowTracker):
        return tracker.line_of(source_record.offset)
    return None


class LineWriter:
    """The retry router's: what it would write to a retry topic waits in its line instead."""

    def __init__(self, writer: Writer, overflow: OverflowTopic, outbox: Outbox) -> None:
        self._writer = writer
        self._overflow = overflow
        self._outbox = outbox

    def publish(self, delivery: Delivery, metadata: DeliveryMetadata) -> None:
        """Publish a delivery; the broker's acknowledgement settles it."""
        source = delivery.source_record
        lines = self._overflow.lines
        home = lines.home_of(source.record.partition)
        line = lines.line(delivery.order, metadata.hook, home)
        self.write(line, source, metadata, delivery.endpoint.metrics)

    def write(
        self, line: Line, source: InFlightRecord, metadata: DeliveryMetadata, metrics: HookMetrics
    ) -> None:
        """Publish a delivery of `line`. If its turn had come, it stays the first."""
        is_first = line.busy is source
        self._overflow.write_in_line(line.home)
        self._outbox.send(
            OutgoingRecord(
                self._writer,
                self._overflow.name,
                source,
                replace(metadata, order=order_text(line.key, is_first=is_first)),
                metrics,
                reason=None,
                partition=line.home,
                line=line.key,
            )
        )
        # After the record: its followers are written behind it.
        self._overflow.lines.write(line, source, is_first=is_first)
