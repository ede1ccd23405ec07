"""Tracks assigned partitions whose next record waits for its schema."""

from aiokafka import TopicPartition

from consumer.logs import get_logger
from consumer.records.record import Record, SchemaWantedError

log = get_logger(__name__)

TOLD_SECONDS = 2.0
"""A wait of a few milliseconds is how each schema is met first: no line tells it."""


class AwaitingSchema:
    """Partitions that wait for a schema. Each is paused alone, so it does not block the others."""

    def __init__(self) -> None:
        self._since: dict[TopicPartition, float] = {}
        """Monotonic seconds."""
        self._told: set[TopicPartition] = set()

    def __contains__(self, tp: object) -> bool:
        return tp in self._since

    def partitions(self) -> list[tuple[str, int]]:
        """Topic and partition of each."""
        return [(tp.topic, tp.partition) for tp in self._since]

    def note(
        self, tp: TopicPartition, record: Record, wanted: SchemaWantedError, now: float
    ) -> None:
        """Note that `record`, the next of `tp`, waits; log it once. `now`: monotonic seconds."""
        since = self._since.setdefault(tp, now)
        if now - since < TOLD_SECONDS or tp in self._told:
            return
        self._told.add(tp)
        log.warning(
            "a partition waits for a schema",
            partition=f"{tp.topic}/{tp.partition}",
            offset=record.offset,
            schema=wanted.schema_id,
        )

    def passed(self, tp: TopicPartition) -> None:
        """Note that the next record of `tp` was taken."""
        if tp in self._told:
            log.info("a partition has its schema", partition=f"{tp.topic}/{tp.partition}")
        self.forget(tp)

    def forget(self, tp: TopicPartition) -> None:
        """Forget a partition that was revoked or gets a new position."""
        self._since.pop(tp, None)
        self._told.discard(tp)
