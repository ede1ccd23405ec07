"""One (event, hook) pair on its way."""

from typing import TYPE_CHECKING

from consumer.events.model import Event
from consumer.records.tracker import InFlightRecord

if TYPE_CHECKING:
    from consumer.delivery.scheduling.endpoint import Endpoint


class Delivery:
    """One (event, hook) pair on its way. Mutable and slotted: built for each on the hot path."""

    __slots__ = (
        "attempts",
        "began",
        "ended",
        "endpoint",
        "event",
        "excused",
        "first_failed_at",
        "id",
        "last_status",
        "order",
        "queued_at",
        "source_record",
    )  # fmt: skip

    def __init__(
        self,
        *,
        id: str,
        event: Event,
        endpoint: "Endpoint",
        source_record: InFlightRecord,
        attempts: int = 0,
        first_failed_at: float | None = None,
        last_status: str = "",
    ) -> None:
        self.id = id
        self.event = event
        self.endpoint = endpoint
        self.source_record = source_record
        """The record that it came from; it is acknowledged when the delivery has its outcome."""
        self.attempts = attempts
        """Attempts so far, those before a restart included."""
        self.first_failed_at = first_failed_at
        """Epoch seconds at which it first could not be delivered; None until then."""
        self.last_status = last_status
        """The last attempt's HTTP status or kind of error."""
        self.queued_at = 0.0
        """Monotonic seconds at which it began to wait for a slot."""
        self.began: float | None = None
        """Monotonic seconds of the first attempt since it was submitted."""
        self.excused = False
        """True once an attempt was not counted, because this process stood still over it."""
        self.ended = False
        """True once its outcome was told; a result that comes later changes nothing."""
        self.order = 0
        """The key of its line (`records/order_line.py`) if its user's deliveries keep an order."""

    def __repr__(self) -> str:
        state = "ended" if self.ended else f"queued at {self.queued_at:.3f}"
        return (
            f"Delivery({self.id!r}, {self.endpoint.hook.id!r}, attempts={self.attempts}, "
            f"last_status={self.last_status!r}, {state})"
        )

    def note_failure(self, now: float) -> float:
        """Note the first failure; returns the seconds since then. `now`: epoch seconds."""
        if self.first_failed_at is None:
            self.first_failed_at = now
        return now - self.first_failed_at
