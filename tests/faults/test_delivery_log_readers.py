"""Readers of the delivery log, while the broker comes and goes."""

import asyncio
import time
from contextlib import aclosing
from pathlib import Path

import pytest

from consumer.clock import SystemClock
from consumer.errors import HookstreamError
from consumer.journal.log_search import FoundDelivery, Horizon, SearchEnd
from consumer.services.deliveries import Deliveries
from support.broker import KafkaServer
from support.cluster import Cluster
from support.definition_topics import kafka_settings
from support.delivery_log import KEPT_FOR_EVER, log_record, write_log
from support.waiting import wait_until

T0 = 1_790_000_000_000
RECORDS = 6_000
SEGMENT = 500
"""Records of one segment of the log, about."""
KEY = b"k" * 32


async def test_a_search_survives_a_broker_that_restarts(kafka_lib: Path, tmp_path: Path) -> None:
    """A search during which the broker restarts finds each record once, in order."""
    with KafkaServer(kafka_lib, tmp_path / "kafka") as server:
        settings = kafka_settings(server.bootstrap, "hookstream")
        topic, cluster = settings.own_topics.deliveries, Cluster(server.bootstrap)
        await cluster.create([topic], partitions=1, configs=KEPT_FOR_EVER)
        records = [log_record("a", n, T0 + 1_000 * n) for n in range(RECORDS)]
        await write_log(cluster, topic, records, partitions=1)
        log = Deliveries(settings, KEY, SystemClock())
        found, horizon = list[str](), None
        async with aclosing(log.search(log.parse({"hook": "a"}))) as steps:
            async for step in steps:
                if isinstance(step, FoundDelivery):
                    if not found:
                        await asyncio.to_thread(server.restart)
                    found.append(str(step.record.event))
                elif isinstance(step, Horizon):
                    horizon = step
    assert found == [f"e{n}" for n in range(RECORDS - 1, -1, -1)]
    assert horizon == Horizon(SearchEnd.BEGINNING, None, RECORDS, 0)


async def test_retention_deletes_by_time_while_a_search_reads(
    server: KafkaServer, topic_prefix: str
) -> None:
    """If retention deletes the older records by their time while a search reads, the search goes on
    without an error, finds each record once that is left, and its horizon says that it came to the
    log's start, and to which time.
    """
    settings = kafka_settings(server.bootstrap, topic_prefix)
    topic, cluster = settings.own_topics.deliveries, Cluster(server.bootstrap)
    rolled = {"segment.ms": f"{SEGMENT * 1_000}"}
    await cluster.create([topic], partitions=1, configs=KEPT_FOR_EVER | rolled)
    records = [log_record("a", n, T0 + 1_000 * n) for n in range(2 * RECORDS)]
    await write_log(cluster, topic, records, partitions=1)
    log = Deliveries(settings, KEY, SystemClock())
    found, horizon = list[str](), None

    async def older_half_is_deleted() -> int:
        start = (await cluster.starts(topic))[topic, 0]
        return start if start > RECORDS - 2 * SEGMENT else 0

    async with aclosing(log.search(log.parse({"hook": "a"}))) as steps:
        async for step in steps:
            if isinstance(step, FoundDelivery):
                if not found:
                    oldest_ms = int(time.time() * 1_000) - (T0 + 1_000 * RECORDS)
                    await cluster.configure(topic, {"retention.ms": f"{oldest_ms}"} | rolled)
                    start = await wait_until(older_half_is_deleted, "retention")
                found.append(str(step.record.event))
            elif isinstance(step, Horizon):
                horizon = step
    assert start <= RECORDS, "retention deletes whole segments, of old records alone"
    assert found == [f"e{n}" for n in range(2 * RECORDS - 1, start - 1, -1)]
    assert horizon is not None
    assert (horizon.end, horizon.cursor) == (SearchEnd.LOG_START, None)
    assert horizon.searched_to == (T0 + 1_000 * start) / 1_000
    await cluster.delete([topic])


async def test_a_broker_that_is_not_there_is_told() -> None:
    """A search without a broker fails with a sentence that names the setting."""
    log = Deliveries(kafka_settings("127.0.0.1:9", "hookstream"), KEY, SystemClock())
    with pytest.raises(HookstreamError, match=r"no Kafka broker answers .*bootstrap_servers"):
        await log.page(log.parse({}), limit=1)
