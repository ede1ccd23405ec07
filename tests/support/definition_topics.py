"""The topics of live definitions in tests: their records, their makers, and a naive replay."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from consumer.control.records import AuditRecord, HookRecord, read_audit_record
from consumer.records.record import Headers
from consumer.settings import KafkaSettings, OwnTopics
from support.cluster import Cluster, Placed, placed

COMPACTED = {"cleanup.policy": "compact", "max.message.bytes": "1048576"}
QUICKLY_COMPACTED = {
    **COMPACTED,
    "segment.ms": "100",
    "min.cleanable.dirty.ratio": "0.001",
    "min.compaction.lag.ms": "0",
    "max.compaction.lag.ms": "100",
}
"""For a topic that is compacted while a test waits."""


@dataclass(slots=True)
class TopicRecord:
    """A record of the definitions' topic, as a reader gets it."""

    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    topic: str = "hookstream.hooks"
    partition: int = 0
    timestamp: int = 0


def record_of(offset: int, record: HookRecord) -> TopicRecord:
    """The record of a revision at an offset."""
    return TopicRecord(offset, *record.write())


def definition(hook_id: str, **more: Any) -> dict[str, Any]:
    """A definition that is valid wherever it is loaded."""
    return {"id": hook_id, "trigger": "event", "uri": f"https://example.com/{hook_id}", **more}


def kafka_settings(bootstrap: str, prefix: str) -> KafkaSettings:
    """The settings of an installation with a prefix of its own."""
    return KafkaSettings(bootstrap_servers=(bootstrap,), topic_prefix=prefix)


async def create_live_topics(
    cluster: Cluster, prefix: str, hooks: Mapping[str, str] = COMPACTED
) -> OwnTopics:
    """Make the topics of live definitions as the daemon would; `hooks` are settings of the first
    one.
    """
    own = OwnTopics(prefix)
    await cluster.create([own.hooks], partitions=1, configs=hooks)
    audit = {"cleanup.policy": "delete", "retention.ms": "-1", "max.message.bytes": "3145728"}
    await cluster.create([own.hooks_audit], partitions=1, configs=audit)
    return own


async def committed(cluster: Cluster, topic: str) -> list[Placed]:
    """The committed records of a topic, as any consumer of Kafka reads them, once every transaction
    is decided; none if there is no such topic.
    """
    ends = {TopicPartition(*tp): end for tp, end in (await cluster.ends([topic])).items()}
    if not ends:
        return []  # aiokafka's consumer does not stop without a partition
    consumer = AIOKafkaConsumer(
        bootstrap_servers=cluster.bootstrap,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
    )
    await consumer.start()
    found: list[Placed] = []
    try:
        consumer.assign(list(ends))
        while any([await consumer.position(tp) < end for tp, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=100)).values():
                found += map(placed, records)
    finally:
        await consumer.stop()
    return found


def replay(records: Iterable[Placed]) -> dict[str, Any]:
    """The definitions in force, by the simplest way to read the topic: the last value of a key."""
    table: dict[str, Any] = {}
    for record in records:
        key = (record.key or b"").decode()
        table.pop(key, None)
        if record.value is not None:
            value = orjson.loads(record.value)
            table[key] = (value["revision"], value["definition"])
    return table


def in_force(records: Mapping[str, HookRecord]) -> dict[str, Any]:
    """The same of the table that a reader holds."""
    return {
        hook_id: (record.revision, record.definition)
        for hook_id, record in records.items()
        if record.definition is not None
    }


def audits(records: Collection[Placed]) -> list[AuditRecord]:
    """The records of the audit topic."""
    return [read_audit_record(record.value, record.headers) for record in records]
