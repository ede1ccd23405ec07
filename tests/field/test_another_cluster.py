"""Addresses of a cluster that lead to another cluster one day."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.broker import OTHER_CLUSTER_ID, KafkaServer, new_node
from support.cluster import Cluster
from support.daemon import Daemon
from support.forwarder import Forwarder
from support.received import ids
from support.receiver import Receiver
from support.waiting import wait_until
from support.workspace import Workspace, event, hook

SENTENCE = "kafka.bootstrap_servers lead to another cluster now"


@pytest.fixture(params=["same address", "other address"])
def other(
    request: pytest.FixtureRequest, kafka_lib: Path, tmp_path: Path, server: KafkaServer
) -> Iterator[KafkaServer]:
    """A broker of another cluster, at the very address of the first one or elsewhere; not started
    yet.
    """
    node = server.node if request.param == "same address" else new_node()
    other = KafkaServer(kafka_lib, tmp_path / "other", node=node, cluster_id=OTHER_CLUSTER_ID)
    yield other
    other.stop()


async def test_another_cluster_in_the_place_of_the_first(
    server: KafkaServer, mortal: Workspace, other: KafkaServer
) -> None:
    """If another cluster with topics of the same names answers behind the bootstrap name, at the
    broker's address or at another one, none of its events is sent from this cluster's offsets on:
    the daemon ends with one sentence.
    """
    topic = mortal.topic("event")
    await mortal.create_topics(partitions=1)
    async with Forwarder(server.bootstrap) as name, Receiver() as receiver:
        mortal.write_settings(kafka={"bootstrap_servers": name.address})
        mortal.write_hooks(hook("a", receiver.origin))
        async with Daemon(mortal.config) as daemon:
            await mortal.cluster.produce(topic, [event("first")])
            await wait_until(mortal.caught_up, "the first event to be settled")
            await asyncio.to_thread(server.stop)
            name.target = None  # nothing is found out before the other cluster has its events
            await asyncio.to_thread(other.start)
            there = Cluster(other.bootstrap)
            await there.create(list(mortal.sources), partitions=1)
            await there.produce(topic, [event(f"strange{number}") for number in range(9)])
            name.target = other.bootstrap
            name.cut()
            assert await daemon.wait() == 1
        assert ids(receiver.requests).keys() == {"first:a"}
    [sentence] = [line for line in daemon.lines if not line.startswith("{")]
    assert SENTENCE in sentence
