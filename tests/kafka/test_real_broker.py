"""The broker that the other tests stand on is a real one, and survives what they do to it."""

import asyncio
import os
import signal
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import UnknownTopicOrPartitionError

from support.broker import BrokerError, KafkaServer, new_node, wait_until_serving

CODECS = ["gzip", "snappy", "lz4", "zstd"]


async def _create(bootstrap: str, topic: str, copies: int = 1) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, 1, copies)])
    finally:
        await admin.close()


async def _produce(bootstrap: str, topic: str, value: bytes, codec: str | None = None) -> None:
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, compression_type=codec
    )
    await producer.start()
    try:
        await asyncio.wait_for(producer.send_and_wait(topic, value), 30)
    finally:
        await producer.stop()


async def _first(bootstrap: str, topic: str) -> bytes | None:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, 0)])
        record = await asyncio.wait_for(consumer.getone(), 30)
        value: bytes | None = record.value
        return value
    finally:
        await consumer.stop()


@pytest.mark.parametrize("codec", CODECS)
async def test_every_codec_goes_there_and_back(
    bootstrap_servers: str, topic_prefix: str, codec: str
) -> None:
    """A record in each of Kafka's codecs is written idempotently and read back."""
    value = b"the same words again and again " * 100
    await _create(bootstrap_servers, topic_prefix)
    await _produce(bootstrap_servers, topic_prefix, value, codec)
    assert await _first(bootstrap_servers, topic_prefix) == value


async def test_no_topic_appears_by_use(bootstrap_servers: str, topic_prefix: str) -> None:
    """A topic that is not created is an error, since the test broker creates none by use."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        described = await admin.describe_topics([topic_prefix])
        assert described[0]["error_code"] == UnknownTopicOrPartitionError.errno
        assert topic_prefix not in await admin.list_topics()
    finally:
        await admin.close()


async def test_a_killed_broker_comes_back_with_its_data(
    kafka_lib: Path, tmp_path: Path, topic_prefix: str
) -> None:
    """A killed broker comes back on the same port with its data.

    1. A record is acknowledged. 2. The broker is killed. 3. Its port refuses connections. 4. It
    starts again on the same port. 5. The record is there.
    """
    server = KafkaServer(kafka_lib, tmp_path)
    try:
        await asyncio.to_thread(server.start)
        bootstrap = server.bootstrap
        await _create(bootstrap, topic_prefix)
        await _produce(bootstrap, topic_prefix, b"kept")
        await asyncio.to_thread(server.kill)
        assert not await asyncio.to_thread(wait_until_serving, bootstrap, timeout=0.5)
        await asyncio.to_thread(server.restart)
        assert server.bootstrap == bootstrap
        assert await _first(bootstrap, topic_prefix) == b"kept"
        await asyncio.to_thread(server.restart)
        assert await _first(bootstrap, topic_prefix) == b"kept"
    finally:
        await asyncio.to_thread(server.stop)
    assert not server.running


def test_a_frozen_broker_is_ended_by_force(kafka_lib: Path, tmp_path: Path) -> None:
    """A stop of a frozen test broker ends by killing it."""
    with KafkaServer(kafka_lib, tmp_path) as server:
        os.kill(server.pid, signal.SIGSTOP)
        server.stop(timeout=0.2)
        assert not server.running


def test_a_broker_that_cannot_start_says_why(kafka_lib: Path, tmp_path: Path) -> None:
    """A test broker that cannot start raises an error with its own words and leaves no process."""
    server = KafkaServer(kafka_lib, tmp_path, extra={"num.network.threads": "0"})
    with pytest.raises(BrokerError, match=r"num\.network\.threads"):
        server.start()
    assert not server.running


async def test_three_nodes_are_one_cluster(
    kafka_lib: Path, tmp_path: Path, topic_prefix: str
) -> None:
    """With one node of three dead, a topic of three copies is still written and read."""
    quorum = [new_node(number) for number in (1, 2, 3)]
    servers = [
        KafkaServer(kafka_lib, tmp_path / str(node.id), node=node, quorum=quorum, heap="256m")
        for node in quorum
    ]
    try:
        for server in servers:
            await asyncio.to_thread(server.launch)
        for server in servers:
            await asyncio.to_thread(server.wait)
        await _create(servers[0].bootstrap, topic_prefix, copies=3)
        await asyncio.to_thread(servers[2].kill)
        await _produce(servers[0].bootstrap, topic_prefix, b"kept")
        assert await _first(servers[1].bootstrap, topic_prefix) == b"kept"
    finally:
        for server in servers:
            await asyncio.to_thread(server.kill)
