"""Readers of the delivery log, while the broker comes and goes."""

import asyncio
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

T0 = 1_790_000_000_000
RECORDS = 6_000
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


async def test_a_broker_that_is_not_there_is_told() -> None:
    """A search without a broker fails with a sentence that names the setting."""
    log = Deliveries(kafka_settings("127.0.0.1:9", "hookstream"), KEY, SystemClock())
    with pytest.raises(HookstreamError, match=r"no Kafka broker answers .*bootstrap_servers"):
        await log.page(log.parse({}), limit=1)
