"""A delivery log written by hand, in the format that docs/reference/records.md fixes."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from aiokafka.partitioner import murmur2

from support.cluster import Cluster

KEPT_FOR_EVER = {"retention.ms": "-1"}
"""For records whose times are long past: a broker deletes those when it next looks."""


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One record to be written."""

    hook: str
    timestamp: int
    """Epoch milliseconds."""
    value: bytes


def log_record(hook: str, number: int, timestamp: int, **fields: Any) -> LogRecord:
    """A record of the first attempt for event `e<number>`, delivered unless `fields` say otherwise;
    None leaves a field out.
    """
    at = datetime.fromtimestamp(timestamp / 1000, UTC).isoformat(timespec="milliseconds")
    value = {
        "format": 1,
        "at": at.replace("+00:00", "Z"),
        "delivery": f"e{number}:{hook}",
        "hook": hook,
        "event": f"e{number}",
        "source": f"event/0/{number}",
        "attempt": 1,
        "status": 204,
        "ms": {"dns": 0.1, "connect": 0.5, "tls": 0.0, "first_byte": 2.5, "all": 3.25},
        "outcome": "delivered",
        "replica": "r-1",
    } | fields
    kept = {name: content for name, content in value.items() if content is not None}
    return LogRecord(hook, timestamp, orjson.dumps(kept))


def java_partition(key: str, partitions: int) -> int:
    """The partition of a key, as aiokafka's own murmur2 has it."""
    found: int = (murmur2(key.encode()) & 0x7FFFFFFF) % partitions
    return found


async def write_log(
    cluster: Cluster,
    topic: str,
    records: Iterable[LogRecord],
    *,
    partitions: int,
    transaction: bool | None = None,
) -> None:
    """Write records, each to the partition of its hook; `transaction`: in one, that is committed
    (true) or aborted (false).
    """
    options = {} if transaction is None else {"transactional_id": f"{topic}-writer"}
    async with cluster.producer(linger_ms=5, **options) as producer:
        if transaction is not None:
            await producer.begin_transaction()
        sent = [
            await producer.send(
                topic,
                record.value,
                key=record.hook.encode(),
                partition=java_partition(record.hook, partitions),
                timestamp_ms=record.timestamp,
            )
            for record in records
        ]
        await asyncio.gather(*sent)
        if transaction is not None:
            await (producer.commit_transaction() if transaction else producer.abort_transaction())
