"""The partitions of this member whose next record cannot be read."""

from collections.abc import Collection

from aiokafka import TopicPartition

from consumer.logs import get_logger

log = get_logger(__name__)

_HINT = (
    "repair the broker's log, or move the partition's start behind the record with "
    "kafka-delete-records"
)


class UnreadablePartitions:
    """Each is held at its offset, and tried again by itself: it holds back no other."""

    def __init__(self) -> None:
        self._offsets: dict[TopicPartition, int] = {}

    def __contains__(self, tp: TopicPartition) -> bool:
        return tp in self._offsets

    def __bool__(self) -> bool:
        return bool(self._offsets)

    def among(self, partitions: Collection[TopicPartition]) -> set[TopicPartition]:
        """Those of `partitions` that could not be read."""
        return self._offsets.keys() & partitions

    def partitions(self) -> list[tuple[str, int]]:
        """Topic and partition of each."""
        return [(tp.topic, tp.partition) for tp in self._offsets]

    def note(self, tp: TopicPartition, offset: int, error: Exception) -> None:
        """The record at `offset` could not be read; told once, until it can be."""
        if self._offsets.get(tp) == offset:
            return
        self._offsets[tp] = offset
        tp = f"{tp.topic}/{tp.partition}"
        log.error(
            "a partition cannot be read",
            partition=tp,
            offset=offset,
            error=repr(error),
            hint=_HINT,
        )

    def passed(self, tp: TopicPartition, offset: int) -> None:
        """The record at `offset` was read."""
        if self._offsets.get(tp, offset + 1) <= offset:
            del self._offsets[tp]
            log.info("a partition can be read again", partition=f"{tp.topic}/{tp.partition}")

    def forget(self, tp: TopicPartition) -> None:
        """The partition is another member's."""
        self._offsets.pop(tp, None)
