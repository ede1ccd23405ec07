"""The offset that may be committed, for at-least-once delivery."""

from consumer.records.record import Record
from consumer.tracing.spans import ProcessSpan


class OffsetTracker:
    """One assignment of one partition's log, from its first position to its revocation.

    A new assignment of the partition is a new object, and so is a new log (the topic was deleted
    and made again): a late settlement reaches only the old object (invariant 1 in ARCHITECTURE.md).
    """

    __slots__ = ("_unsettled", "next_offset", "number", "revoked", "topic")

    def __init__(self, topic: str, number: int, next_offset: int) -> None:
        self.topic = topic
        self.number = number
        self.revoked = False
        self.next_offset = next_offset
        """The offset after the last record received; at first, the one at which reading begins."""
        # In order of offset, as records arrive. Settled ones are removed: one slow delivery keeps
        # only its own record in memory.
        self._unsettled: dict[int, InFlightRecord] = {}

    def __repr__(self) -> str:
        state = ", revoked" if self.revoked else ""
        return (
            f"<OffsetTracker {self.topic}/{self.number}: committable {self.committable}, "
            f"next {self.next_offset}, {self.unsettled} unsettled{state}>"
        )

    def receive(self, offset: int, record: Record, deliveries: int, now: float) -> "InFlightRecord":
        """Receive the record at `offset`; it is settled after `deliveries` acknowledgements.

        `record` is the source record, which on a retry topic has another offset. `now`: monotonic
        seconds.
        """
        self.next_offset = offset + 1
        pending = self._unsettled[offset] = InFlightRecord(self, offset, record, deliveries, now)
        return pending

    def keep(self, record: Record, now: float) -> None:
        """Let a record that could not be processed stay unsettled for ever."""
        self.receive(record.offset, record, 1, now)

    def skip(self, offset: int) -> None:
        """Receive a record without deliveries: settled at once."""
        self.next_offset = offset + 1

    def skip_to(self, offset: int) -> None:
        """Note that every record before `offset` was received."""
        self.next_offset = max(self.next_offset, offset)

    def lag(self, end: int) -> int:
        """Number of records that are not settled, of a partition that ends before `end`."""
        return max(0, end - self.committable)

    def settle(self, offset: int) -> None:
        """Settle the record at `offset`: all its deliveries are acknowledged."""
        del self._unsettled[offset]

    @property
    def committable(self) -> int:
        """The offset to commit: the lowest unsettled one, else `next_offset`.

        Offsets that are never received (transaction markers, compaction) count as settled.
        """
        return next(iter(self._unsettled), self.next_offset)

    @property
    def progress(self) -> int:
        """A number that rises as long as the partition is read and delivered."""
        return self.committable

    @property
    def settled_text(self) -> str:
        """What a commit says besides `committable`, for the next assignment."""
        return ""

    @property
    def unsettled(self) -> int:
        """Number of records received and not settled."""
        return len(self._unsettled)

    @property
    def oldest(self) -> float | None:
        """Monotonic seconds at which the oldest unsettled record was received."""
        first = next(iter(self._unsettled.values()), None)
        return first.received_at if first is not None else None


class InFlightRecord:
    """A received record with unacknowledged deliveries: their `source_record`."""

    __slots__ = ("_remaining", "attempts", "offset", "received_at", "record", "span", "tracker")

    def __init__(
        self,
        tracker: OffsetTracker,
        offset: int,
        record: Record,
        deliveries: int,
        received_at: float,
    ) -> None:
        self.tracker = tracker
        self.offset = offset
        """The offset in its own partition; that of `record` may be another."""
        self.attempts = 0
        """The attempts that it tells of."""
        self.record = record
        self.received_at = received_at
        self.span: ProcessSpan | None = None
        """Of a sampled event."""
        self._remaining = deliveries

    def __repr__(self) -> str:
        record, tracker = self.record, self.tracker
        return (
            f"<InFlightRecord {tracker.topic}/{tracker.number}/{self.offset}, from "
            f"{record.topic}/{record.partition}/{record.offset}: {self._remaining} deliveries left>"
        )

    @property
    def revoked(self) -> bool:
        """Whether its assignment has ended: another member owes its deliveries."""
        return self.tracker.revoked

    def ack_one(self) -> None:
        """Count one delivery that is delivered or durably published."""
        self._remaining -= 1
        if self._remaining == 0:
            self.tracker.settle(self.offset)
            if self.span is not None:
                self.span.end()
