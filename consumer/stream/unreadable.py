"""Tracks assigned partitions whose next record cannot be read."""

from collections.abc import Collection

from aiokafka import TopicPartition

from consumer.logs import get_logger

log = get_logger(__name__)

_HINT = (
    "repair the broker's log, or move the partition's start after the record with "
    "kafka-delete-records"
)


class UnreadablePartitions:
    """Unreadable partitions. Each is paused and retried alone, so it does not block the others."""

    def __init__(self) -> None:
        self._offsets: dict[TopicPartition, int] = {}

    def __contains__(self, tp: TopicPartition) -> bool:
        return tp in self._offsets

    def __bool__(self) -> bool:
        return bool(self._offsets)

    def among(self, partitions: Collection[TopicPartition]) -> set[TopicPartition]:
        """The unreadable ones of `partitions`."""
        return self._offsets.keys() & partitions

    def partitions(self) -> list[tuple[str, int]]:
        """Topic and partition of each."""
        return [(tp.topic, tp.partition) for tp in self._offsets]

    def note(self, tp: TopicPartition, offset: int, error: Exception) -> None:
        """Note and log, once, that the record at `offset` cannot be read."""
        if self._offsets.get(tp) == offset:
            return
        self._offsets[tp] = offset
        log.error(
            "a partition cannot be read",
            partition=f"{tp.topic}/{tp.partition}",
            offset=offset,
            error=repr(error),
            hint=_HINT,
        )

    def passed(self, tp: TopicPartition, offset: int) -> None:
        """Note that the record at `offset` was read."""
        if self._offsets.get(tp, offset + 1) <= offset:
            del self._offsets[tp]
            log.info("a partition can be read again", partition=f"{tp.topic}/{tp.partition}")

    def forget(self, tp: TopicPartition) -> None:
        """Forget a partition that was revoked or gets a new position."""
        self._offsets.pop(tp, None)
