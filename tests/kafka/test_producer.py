"""The producer of retries and dead letters, on a real broker."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from consumer.clock import SystemClock
from consumer.settings import KafkaSettings
from consumer.stream.producer import KafkaProducer
from consumer.stream.replay_route import ReplayRecord
from support.cluster import Cluster


@pytest.fixture
async def producer(bootstrap_servers: str) -> AsyncIterator[KafkaProducer]:
    """The daemon's own, closed behind the test."""
    settings = KafkaSettings(bootstrap_servers=(bootstrap_servers,))
    producer = KafkaProducer(settings, SystemClock())
    yield producer
    await producer.reset()


async def test_records_lie_in_the_partitions_that_they_prefer(
    cluster: Cluster, producer: KafkaProducer, topic_prefix: str
) -> None:
    """A record lies in the partition that it prefers, behind the records sent there before, and one
    whose partition does not exist lies where its key says.
    """
    await cluster.create([topic_prefix], partitions=3)
    wanted = [number % 3 for number in range(30)] + [3, None]
    records = [
        ReplayRecord(topic_prefix, b"user", b"%d" % number, [], "", partition=partition)
        for number, partition in enumerate(wanted)
    ]
    sent = await producer.send(topic_prefix, records)
    await asyncio.gather(*(answer for _, answer in sent))
    found: list[list[int]] = [[], [], []]
    for placed in await cluster.read(topic_prefix):
        found[placed.partition].append(int(placed.value or b""))
    keyed = next(numbers[10:] for numbers in found if len(numbers) > 10)
    assert keyed == [30, 31]
    assert [numbers[:10] for numbers in found] == [list(range(home, 30, 3)) for home in range(3)]
