"""A broker of the cluster that accepts connections and answers nothing."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import BrokerMetadata
from confluent_kafka import Producer

from consumer.settings import KafkaSettings
from consumer.stream import cluster_client
from consumer.stream.client import connection_options
from consumer.stream.topics import describe_topics
from support.forwarder import Forwarder

PROMPT = 8.0
"""Seconds: less than the silent broker is waited for by itself, enough for a busy machine."""


@pytest.fixture
async def admin() -> AsyncIterator[AIOKafkaAdminClient]:
    """A client of a cluster of one embedded broker."""
    embedded = Producer({"bootstrap.servers": "embedded", "test.mock.num.brokers": 1})
    [broker] = embedded.list_topics(timeout=10).brokers.values()
    settings = KafkaSettings(bootstrap_servers=(f"{broker.host}:{broker.port}",))
    admin = AIOKafkaAdminClient(**connection_options(settings))
    await admin.start()
    yield admin
    await admin.close()
    del embedded


async def test_a_silent_broker_does_not_hold_up_questions_that_any_can_answer(
    admin: AIOKafkaAdminClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one broker of the cluster is frozen, the questions of a start about topics, and who
    coordinates a group, are answered by another one after a moment.
    """
    monkeypatch.setattr(cluster_client, "NODE_STAGGER_SECONDS", 0.1)
    async with Forwarder() as silent:
        host, _, port = silent.address.rpartition(":")
        for node in (97, 98, 99):
            admin._client.cluster._brokers[node] = BrokerMetadata(node, host, int(port), None)
        async with asyncio.timeout(PROMPT):
            for _ in range(3):
                admin._client._last_answered = None  # as if it were the first question
                assert await describe_topics(admin._client, ()) == {}
            assert await admin.find_coordinator("group") == 1
