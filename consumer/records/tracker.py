"""Which offset may be committed: the heart of at-least-once."""

from consumer.records.record import Record


class OffsetTracker:
    """One assignment of one partition's log, from the first position in it to its revocation.

    A new assignment of the same partition is a new object, and so is another log in its place
    (the topic was deleted and made again). So a settlement that comes late reaches only the old
    one and changes nothing (invariant 1 in ARCHITECTURE.md).
    """

    __slots__ = ("_unsettled", "next_offset", "number", "revoked", "topic")

    def __init__(self, topic: str, number: int, next_offset: int) -> None:
        self.topic = topic
        self.number = number
        self.revoked = False
        self.next_offset = next_offset
        """The offset behind the last record taken; before the first one, where reading begins."""
        # Ordered by offset, as records arrive; only what is unsettled is kept, so that one slow
        # delivery does not hold the memory of all that settled behind it.
        self._unsettled: dict[int, InFlightRecord] = {}

    def receive(self, offset: int, record: Record, deliveries: int, now: float) -> "InFlightRecord":
        """Take in the record at `offset`, settled once `deliveries` of it are.

        `record` is what was first consumed: on a retry topic it has another offset. `now`:
        monotonic seconds.
        """
        self.next_offset = offset + 1
        pending = self._unsettled[offset] = InFlightRecord(self, offset, record, deliveries, now)
        return pending

    def skip(self, offset: int) -> None:
        """Take in a record that nobody wants: settled at once."""
        self.next_offset = offset + 1

    def skip_to(self, offset: int) -> None:
        """There is no record before `offset` that was not received."""
        self.next_offset = max(self.next_offset, offset)

    def settle(self, offset: int) -> None:
        """All of the record at `offset` is delivered or durably handed over."""
        del self._unsettled[offset]

    @property
    def committable(self) -> int:
        """The offset that a commit may name: the lowest one unsettled, else the next one.

        Offsets that were never received (transaction markers, compaction) count as settled.
        """
        return next(iter(self._unsettled), self.next_offset)

    @property
    def unsettled(self) -> int:
        """Records received and not settled."""
        return len(self._unsettled)

    @property
    def oldest(self) -> float | None:
        """Monotonic seconds at which the oldest unsettled record was received."""
        first = next(iter(self._unsettled.values()), None)
        return first.received_at if first is not None else None


class InFlightRecord:
    """A received record that is not settled yet."""

    __slots__ = ("_offset", "_remaining", "received_at", "record", "tracker")

    def __init__(
        self,
        tracker: OffsetTracker,
        offset: int,
        record: Record,
        deliveries: int,
        received_at: float,
    ) -> None:
        self.tracker = tracker
        self._offset = offset
        self.record = record
        self.received_at = received_at
        self._remaining = deliveries

    @property
    def revoked(self) -> bool:
        """Whether the partition was given to another member since."""
        return self.tracker.revoked

    def ack_one(self) -> None:
        """One of its deliveries is delivered or durably handed over."""
        self._remaining -= 1
        if self._remaining == 0:
            self.tracker.settle(self._offset)
