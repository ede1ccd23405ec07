"""What intake hands its records to."""

from collections.abc import Callable, Mapping
from typing import Protocol

from consumer.records.record import Record
from consumer.records.tracker import InFlightRecord, OffsetTracker


class Handler(Protocol):
    """What intake feeds."""

    async def wait_for_capacity(self) -> None:
        """Wait until more records can be taken."""
        ...

    @property
    def at_capacity(self) -> bool:
        """Whether `room` would wait."""
        ...

    def is_foreign(self, record: Record) -> bool:
        """Whether a record on a retry topic is another group's: it is passed over."""
        ...

    def handle(self, record: Record, tracker: OffsetTracker) -> None:
        """Take one record in: `tracker` must have received or skipped it on return."""
        ...

    def on_assigned(self, counts: Mapping[str, tuple[int, int]]) -> None:
        """This member's share: by topic, the partitions that it has and that there are."""
        ...

    def defer(self, which: Callable[[InFlightRecord], bool]) -> None:
        """Hand over what is still under way for the records that are `which`."""
        ...
