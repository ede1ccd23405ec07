"""The client inside every consumer, producer and admin client of ours, on a real broker."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiokafka.client import ConnectionGroup
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.admin import ApiVersionRequest
from aiokafka.protocol.group import JoinGroupRequest
from aiokafka.structs import BrokerMetadata

from consumer.settings import KafkaSettings
from consumer.stream import cluster_client, connections
from consumer.stream.client import connection_options
from consumer.stream.cluster_client import ClusterClient
from consumer.stream.metadata import metadata_request
from support.broker import HOST
from support.forwarder import Forwarder

PROMPT = 20.0
"""Seconds: less than aiokafka would wait, and enough for a busy machine."""


@asynccontextmanager
async def _client(bootstrap: str) -> AsyncIterator[ClusterClient]:
    client = ClusterClient(**connection_options(KafkaSettings(bootstrap_servers=(bootstrap,))))
    try:
        await client.bootstrap()
        yield client
    finally:
        await client.close()


def _add_node(client: ClusterClient, node: int, address: str) -> None:
    host, _, port = address.rpartition(":")
    client.cluster._brokers[node] = BrokerMetadata(node, host, int(port), None)


async def test_a_name_with_a_silent_address(
    bootstrap_servers: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A silent address of a bootstrap name costs no more than the stagger if another address
    answers.
    """

    async def addresses(_host: str, _port: int) -> list[str]:
        return ["127.0.0.2", HOST]

    monkeypatch.setattr(connections, "_addresses", addresses)
    port = int(bootstrap_servers.rpartition(":")[2])
    async with Forwarder(port=port, host="127.0.0.2") as silent, asyncio.timeout(PROMPT):
        async with _client(f"broker.test:{port}") as client:
            assert client.cluster.brokers()
        assert silent.connections > 0


async def test_a_node_that_is_silent_holds_up_no_other(bootstrap_servers: str) -> None:
    """While one node is dialled in vain, other nodes answer, asked by number or as any node."""
    async with Forwarder() as silent, _client(bootstrap_servers) as client:
        [node] = [broker.nodeId for broker in client.cluster.brokers()]
        _add_node(client, 99, silent.address)
        waiting = asyncio.create_task(client.send(99, ApiVersionRequest()))
        while not silent.connections:  # noqa: ASYNC110  # the other side cannot tell us
            await asyncio.sleep(0)
        async with asyncio.timeout(PROMPT):
            assert (await client.send(node, metadata_request(()))).brokers
            for _ in range(10):
                any_node = client.get_random_node()
                assert (await client.send(any_node, metadata_request(()))).brokers
        waiting.cancel()


async def test_a_coordinator_that_falls_silent_while_a_member_joins(
    bootstrap_servers: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A coordinator that answers nothing else during a long join is given up within seconds, so
    that its successor is looked for.
    """
    monkeypatch.setattr(cluster_client, "PING_INTERVAL_SECONDS", 0.1)
    monkeypatch.setattr(connections, "REQUEST_TIMEOUT_SECONDS", 0.5)
    join = JoinGroupRequest(topic_prefix, 10_000, 60_000, "", None, "consumer", [("range", b"")])
    async with Forwarder(bootstrap_servers) as between, _client(bootstrap_servers) as client:
        _add_node(client, 99, between.address)
        for group in ConnectionGroup:
            await client.send(99, ApiVersionRequest(), group=group)
        between.silent = True
        with pytest.raises(KafkaConnectionError):
            async with asyncio.timeout(PROMPT):
                await client.send(99, join, group=ConnectionGroup.COORDINATION)
