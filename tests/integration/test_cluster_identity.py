"""Two clusters, and addresses that lead to the one and then to the other."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from aiokafka.errors import NodeNotReadyError
from aiokafka.structs import BrokerMetadata
from confluent_kafka import Producer

from consumer.clock import SystemClock
from consumer.errors import HookstreamError
from consumer.settings import KafkaSettings
from consumer.stream.client import connection_options, make_consumer
from consumer.stream.cluster_client import ClusterClient
from consumer.stream.metadata import metadata_request
from consumer.stream.producer import KafkaProducer
from consumer.stream.tasks import watch_tasks
from support.broker import HOST, free_port
from support.forwarder import Forwarder
from support.waiting import wait_until

NODE = 1
ANOTHER = "kafka.bootstrap_servers lead to another cluster now"


@pytest.fixture
def clusters() -> Iterator[tuple[str, str]]:
    """The addresses of two clusters of one embedded broker each, which has the same node id."""
    embedded = [
        Producer({"bootstrap.servers": "embedded", "test.mock.num.brokers": 1, "log_level": 0})
        for _ in range(2)
    ]
    [first, second] = [
        f"{broker.host}:{broker.port}"
        for producer in embedded
        for broker in producer.list_topics(timeout=10).brokers.values()
    ]
    yield first, second
    embedded.clear()


@pytest.fixture
async def name(clusters: tuple[str, str]) -> AsyncIterator[Forwarder]:
    """A bootstrap name, which leads to the first cluster."""
    async with Forwarder(clusters[0]) as name:
        yield name


def _settings(name: Forwarder) -> KafkaSettings:
    return KafkaSettings(bootstrap_servers=(name.address,), group_id="g")


@asynccontextmanager
async def _client(name: Forwarder) -> AsyncIterator[ClusterClient]:
    client = ClusterClient(**connection_options(_settings(name)))
    try:
        await client.bootstrap()
        yield client
    finally:
        await client.close()


def _place_node(client: ClusterClient, address: str) -> None:
    """Let the client believe that its broker is there."""
    host, _, port = address.rpartition(":")
    client.cluster._brokers[NODE] = BrokerMetadata(NODE, host, int(port), None)


async def test_a_connection_to_an_address_that_a_broker_had_before_is_closed(
    name: Forwarder,
) -> None:
    """When metadata gives a broker another address, the connections to its former one are closed,
    and the next request goes to the new one.
    """
    async with _client(name) as client:
        _place_node(client, name.address)
        await client.send(NODE, metadata_request(()))
        [former] = client._conns.values()
        assert await client._metadata_update(client.cluster, ())
        assert not former.connected()
        dialled = name.connections
        assert (await client.send(NODE, metadata_request(()))).brokers
        assert name.connections == dialled


async def test_an_address_that_another_cluster_has_taken_is_not_used(
    name: Forwarder, clusters: tuple[str, str]
) -> None:
    """A broker's address at which another cluster answers counts as one that cannot be reached:
    nothing is asked there that rests on this cluster's topics and offsets.
    """
    async with _client(name) as client, Forwarder(clusters[0]) as address:
        _place_node(client, address.address)
        assert (await client.send(NODE, metadata_request(()))).brokers
        address.target = clusters[1]
        address.cut()
        await wait_until(
            lambda: not any(one.connected() for one in client._conns.values()), "the cut"
        )
        _place_node(client, address.address)
        with pytest.raises(NodeNotReadyError):
            await client.send(NODE, metadata_request(()))


async def test_the_bootstrap_servers_lead_to_another_cluster(
    name: Forwarder, clusters: tuple[str, str]
) -> None:
    """If no known broker answers and another cluster is behind the bootstrap name, the client ends
    with a sentence that names both.
    """
    async with _client(name) as client:
        name.target = clusters[1]
        _place_node(client, f"{HOST}:{free_port()}")
        with pytest.raises(HookstreamError, match=ANOTHER):
            await client._metadata_update(client.cluster, ())


async def test_every_client_of_a_process_keeps_to_the_cluster_of_the_first(
    name: Forwarder, clusters: tuple[str, str]
) -> None:
    """If the producer is made anew while another cluster is behind the bootstrap name, it writes
    nothing there, and the watch over the consumer, which is still connected, ends the process.
    """
    settings = _settings(name)
    message = SimpleNamespace(topic="retry", key=None, spread=False, value=b"v", headers=[])
    consumer, producer = make_consumer(settings), KafkaProducer(settings, SystemClock())
    await consumer.start()
    try:
        name.target = clusters[1]
        with pytest.raises(HookstreamError, match=ANOTHER):
            await producer.send("retry", [message])
        async with asyncio.timeout(10):
            with pytest.raises(HookstreamError, match=ANOTHER):
                await watch_tasks(consumer)
    finally:
        await producer.reset()
        await consumer.stop()
