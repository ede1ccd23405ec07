"""Bounds the memory that fetched records take in aiokafka."""

from collections.abc import Iterator
from functools import wraps
from typing import Any
from weakref import proxy

from aiokafka.consumer.fetcher import PartitionRecords


def free_dropped_fetches() -> None:
    """Let a fetch that is dropped be freed at once. A second call does nothing.

    A `PartitionRecords` owns a generator whose frame refers back to it. This reference cycle keeps
    the raw fetch until the garbage collector runs, wherever aiokafka drops one before its last
    record: at a pause, a seek, a rebalance. Here the frame has a weak reference; a
    `PartitionRecords` is the only caller of its generator, so it is alive whenever the frame runs.
    """
    unpack = PartitionRecords._unpack_records  # noqa: SLF001  # no public way
    if not hasattr(unpack, "__wrapped__"):

        @wraps(unpack)
        def unpack_weakly(self: PartitionRecords) -> Iterator[Any]:
            records: Iterator[Any] = unpack(proxy(self))
            return records

        PartitionRecords._unpack_records = unpack_weakly  # noqa: SLF001
