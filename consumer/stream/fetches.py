"""Bounds aiokafka's memory for fetched records."""

from collections.abc import Callable, Iterator
from functools import wraps
from math import inf
from typing import Any, Final
from weakref import proxy

from aiokafka.consumer.fetcher import Fetcher, FetchResult, PartitionRecords

from consumer.clock import Clock

PARTITION_BYTES: Final = 256 * 1024
"""Limit for one partition in one answer. A larger batch is sent whole if it is the first of an
answer (KIP-74), so any record can be read; aiokafka requests the partitions in random order."""
ANSWER_BYTES: Final = 1 * 1024 * 1024
"""Limit for one answer, which takes about three times its size while aiokafka parses it."""
_SHORT_WAIT_MS: Final = 20
"""Wait at the broker for records of the partitions of one request, in place of half a second."""
_PATIENT_SECONDS: Final = 0.1
_BUFFERED_BYTES: Final = 2 * 1024 * 1024
"""Limit for fetched records not yet polled, for all partitions together."""


def free_dropped_fetches() -> None:
    """Free a dropped fetch at once. Idempotent.

    A `PartitionRecords` owns a generator whose frame refers back to it. This reference cycle keeps
    the raw fetch until the garbage collector runs, whenever aiokafka drops one before its last
    record: at a pause, a seek, a rebalance. A weak reference breaks the cycle; only a live
    `PartitionRecords` calls its generator.
    """
    unpack = PartitionRecords._unpack_records  # noqa: SLF001  # no public way
    if not hasattr(unpack, "__wrapped__"):

        @wraps(unpack)
        def unpack_weakly(self: PartitionRecords) -> Iterator[Any]:
            records: Iterator[Any] = unpack(proxy(self))
            return records

        PartitionRecords._unpack_records = unpack_weakly  # noqa: SLF001


def bound_fetches(
    fetcher: Fetcher,
    is_urgent: Callable[[], bool],
    is_patient: Callable[[str], bool],
    clock: Clock,
) -> None:
    """Stop `fetcher` from requesting more while `_BUFFERED_BYTES` wait to be polled (backpressure),
    and let no request wait for long at the broker that leaves out a partition which will soon be
    read on: a broker gets one request at a time. `is_urgent`: whether a position will soon be set.

    While records come, topics that are patient are asked for ten times a second: without fetch
    sessions (KIP-227) a request and its answer name every partition, which costs more than the
    records do.

    aiokafka keeps one fetch of each partition: with batches of the largest size, a thousand
    partitions take a gigabyte when polling pauses. Use it only for a consumer that polls all
    partitions: one that waits for a single partition could wait for ever.
    """
    asked_all_at = -inf
    actions = fetcher._get_actions_per_node  # noqa: SLF001  # no public way
    long_wait: int = fetcher._fetch_max_wait_ms  # noqa: SLF001

    def bounded(assignment: Any) -> tuple[Any, ...]:
        nonlocal asked_all_at
        is_short, now = is_urgent() or bool(fetcher._records), clock.monotonic()  # noqa: SLF001
        fetcher._fetch_max_wait_ms = _SHORT_WAIT_MS if is_short else long_wait  # noqa: SLF001
        requests, *others = actions(assignment)
        if requests and _buffered(fetcher, assignment) >= _BUFFERED_BYTES:
            requests = []  # retried after a poll, or after 0.2 s
        if not is_urgent() and now < asked_all_at + _PATIENT_SECONDS:
            for _, request in requests:
                _leave_out(request, is_patient)
        elif requests:
            asked_all_at = now
        return requests, *others

    fetcher._get_actions_per_node = bounded  # noqa: SLF001


def _leave_out(request: Any, is_patient: Callable[[str], bool]) -> None:
    topics = [topic for topic in request.topics if not is_patient(topic[0])]
    if topics:
        request._topics = topics  # noqa: SLF001
        wait = min(request._max_wait_ms, _PATIENT_SECONDS * 1000)  # noqa: SLF001
        request._max_wait_ms = int(wait)  # noqa: SLF001


def _buffered(fetcher: Fetcher, assignment: Any) -> int:
    """Bytes that wait to be polled, without paused partitions: aiokafka drops their fetches."""
    return sum(
        fetch._partition_records._records.size_in_bytes()  # noqa: SLF001
        for tp, fetch in fetcher._records.items()  # noqa: SLF001
        if isinstance(fetch, FetchResult) and not assignment.state_value(tp).paused
    )
