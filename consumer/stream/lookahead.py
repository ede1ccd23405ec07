"""A bounded buffer for records of retry topics that are not yet due."""

from collections.abc import Sequence
from typing import Any, Final

from aiokafka import TopicPartition

_CAPACITY_BYTES: Final = 4 * 1024 * 1024
"""Limit for all partitions together."""
_RECORD_OVERHEAD_BYTES: Final = 500
_HEADER_OVERHEAD_BYTES: Final = 150
"""Memory of a record, and of each of its headers, besides their contents."""


class LookAhead:
    """The next records of partitions that are paused until they are due, in bounded memory.

    A partition may use as much memory as is left free (the dynamic threshold of shared-memory
    switches, Choudhury and Hahne 1998). So each of n partitions comes to use 1 / (n + 1).
    """

    def __init__(self, capacity: int = _CAPACITY_BYTES) -> None:
        """`capacity`: bytes."""
        self._free = capacity
        self._kept: dict[TopicPartition, _Kept] = {}

    def keep(self, tp: TopicPartition, records: Sequence[Any], first: int) -> int:
        """Replace the records of `tp` with `records` from the index `first` on, as many as fit;
        return how many.
        """
        self.take(tp)
        kept = _Kept()
        for index in range(first, len(records)):
            record = records[index]
            # Reuse measured sizes: the same records may come back after each due one.
            size = records.sizes[index] if isinstance(records, _Kept) else _footprint(record)
            if kept.size + size > self._free - size:
                break
            kept.add(record, size)
            self._free -= size
        if kept:
            self._kept[tp] = kept
        return len(kept)

    def take(self, tp: TopicPartition) -> Sequence[Any]:
        """Remove and return the records of `tp`, in order."""
        kept = self._kept.pop(tp, None)
        if kept is None:
            return ()
        self._free += kept.size
        return kept

    def clear(self) -> None:
        """Drop all records."""
        for tp in list(self._kept):
            self.take(tp)

    def __contains__(self, tp: TopicPartition) -> bool:
        """Whether records of `tp` are kept."""
        return tp in self._kept


class _Kept(list[Any]):
    """Records with their sizes in bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []
        self.size = 0

    def add(self, record: Any, size: int) -> None:
        self.append(record)
        self.sizes.append(size)
        self.size += size


def _footprint(record: Any) -> int:
    """Estimated memory of a record in bytes."""
    size = _RECORD_OVERHEAD_BYTES + len(record.key or b"") + len(record.value or b"")
    for name, value in record.headers:
        size += _HEADER_OVERHEAD_BYTES + len(name) + len(value or b"")
    return size
