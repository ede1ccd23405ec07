"""Records that were read from retry topics before they are due: a bounded buffer."""

from collections.abc import Sequence
from typing import Any, Final

from aiokafka import TopicPartition

_CAPACITY: Final = 4 * 1024 * 1024
"""Bytes of memory, of all partitions together."""
_PER_RECORD: Final = 500
_PER_HEADER: Final = 150
"""Bytes that a record, and each header of it, takes in memory beside its contents."""


class LookAhead:
    """The next records of partitions that are paused until these are due. The memory is bounded.

    A partition may use as much as is left free (the dynamic threshold of shared-memory switches,
    Choudhury and Hahne 1998). So n partitions come to use one part in n + 1 each.
    """

    def __init__(self, capacity: int = _CAPACITY) -> None:
        """`capacity`: bytes."""
        self._free = capacity
        self._kept: dict[TopicPartition, _Kept] = {}

    def keep(self, tp: TopicPartition, records: Sequence[Any], first: int) -> int:
        """Keep `records` from the index `first` on, as many as there is memory for, in place of
        what was kept of `tp` before. Returns how many.
        """
        self.take(tp)
        kept = _Kept()
        for index in range(first, len(records)):
            record = records[index]
            # What was kept before is not measured again: after each due record it may come back.
            size = records.sizes[index] if isinstance(records, _Kept) else _footprint(record)
            if kept.size + size > self._free - size:
                break
            kept.add(record, size)
            self._free -= size
        if kept:
            self._kept[tp] = kept
        return len(kept)

    def take(self, tp: TopicPartition) -> Sequence[Any]:
        """What is kept of `tp`, in order; it is kept no longer."""
        kept = self._kept.pop(tp, None)
        if kept is None:
            return ()
        self._free += kept.size
        return kept

    def clear(self) -> None:
        """Keep nothing any longer."""
        for tp in list(self._kept):
            self.take(tp)

    def __contains__(self, tp: TopicPartition) -> bool:
        """Whether records of `tp` are kept."""
        return tp in self._kept


class _Kept(list[Any]):
    """Records with their sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []
        self.size = 0

    def add(self, record: Any, size: int) -> None:
        self.append(record)
        self.sizes.append(size)
        self.size += size


def _footprint(record: Any) -> int:
    """About the bytes of memory that a record takes."""
    size = _PER_RECORD + len(record.key or b"") + len(record.value or b"")
    for name, value in record.headers:
        size += _PER_HEADER + len(name) + len(value or b"")
    return size
