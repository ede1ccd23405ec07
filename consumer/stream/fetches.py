"""Bounds the memory that fetched records take in aiokafka."""

from collections.abc import Iterator
from functools import wraps
from typing import Any, Final
from weakref import proxy

from aiokafka.consumer.fetcher import Fetcher, FetchResult, PartitionRecords

PARTITION_BYTES: Final = 256 * 1024
"""Of one partition in one answer. A larger batch comes whole if it is the first one of an answer
(KIP-74), so that any record can be read; aiokafka asks for the partitions in random order."""
ANSWER_BYTES: Final = 1 * 1024 * 1024
"""In one answer. aiokafka holds an answer about three times while it takes it apart."""
_BUFFERED_BYTES: Final = 2 * 1024 * 1024
"""Fetched and not yet polled, of all partitions together."""


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


def bound_fetches(fetcher: Fetcher) -> None:
    """Have `fetcher` ask for no more while much is not polled yet.

    aiokafka keeps one fetch of each partition, and with batches of the largest size that a topic
    takes a thousand of them are a gigabyte, as soon as nothing is polled for a while. Only for a
    consumer that polls all partitions: one that waits for a single one would wait for ever.
    """
    actions = fetcher._get_actions_per_node  # noqa: SLF001  # no public way

    def bounded(assignment: Any) -> tuple[Any, ...]:
        requests, *others = actions(assignment)
        if requests and _buffered(fetcher, assignment) >= _BUFFERED_BYTES:
            requests = []  # tried again when something was polled, or after a fifth of a second
        return requests, *others

    fetcher._get_actions_per_node = bounded  # noqa: SLF001


def _buffered(fetcher: Fetcher, assignment: Any) -> int:
    """Bytes that wait to be polled. Those of paused partitions do not: aiokafka drops them."""
    return sum(
        fetch._partition_records._records.size_in_bytes()  # noqa: SLF001
        for tp, fetch in fetcher._records.items()  # noqa: SLF001
        if isinstance(fetch, FetchResult) and not assignment.state_value(tp).paused
    )
