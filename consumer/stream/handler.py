"""The interface between intake and the pipeline."""

from collections.abc import Callable, Mapping
from typing import Protocol

from consumer.records.record import Record
from consumer.records.tracker import InFlightRecord, OffsetTracker


class Handler(Protocol):
    """The receiver of consumed records; `pipeline.EventHandler` is the daemon's."""

    async def wait_for_capacity(self) -> None:
        """Wait, for a bounded time, until more records can be taken."""
        ...

    @property
    def at_capacity(self) -> bool:
        """Whether intake must pause (backpressure)."""
        ...

    def is_foreign(self, record: Record) -> bool:
        """Whether a record on a retry topic is another group's, which is skipped."""
        ...

    def handle(self, record: Record, tracker: OffsetTracker) -> None:
        """Take in one record: on return, `tracker` has received or skipped it.

        Raises:
            SchemaWantedError: it cannot be decoded yet, and nothing has happened to it.
        """
        ...

    def on_assigned(self, counts: Mapping[str, tuple[int, int]]) -> None:
        """Take over this member's share: by topic, its number of partitions and the topic's."""
        ...

    def room(self, hook: str, first_failed_at: float) -> tuple[int, float]:
        """How many deliveries of `hook` may be taken from the overflow topic now, none of which
        failed before `first_failed_at` (epoch seconds); and the seconds until this is to be asked
        again.
        """
        ...

    def release(self, which: Callable[[InFlightRecord], bool]) -> None:
        """Let those deliveries of the records that `which` accepts overflow that have not begun."""
        ...

    def defer(self, which: Callable[[InFlightRecord], bool]) -> None:
        """Defer the unfinished deliveries of the records that `which` accepts."""
        ...
