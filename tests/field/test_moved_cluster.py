"""Brokers that come back under other addresses behind the same bootstrap name."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from support.broker import HOST, KafkaServer, free_port
from support.cluster import Cluster
from support.daemon import Daemon
from support.forwarder import Forwarder
from support.received import ids
from support.receiver import Receiver, response
from support.waiting import wait_until
from support.workspace import Workspace, event, hook

UNREACHABLE = "hookstream_broker_unreachable_seconds"
MINUTE = 60.0


@pytest.fixture
async def name(server: KafkaServer) -> AsyncIterator[Forwarder]:
    """The bootstrap name."""
    async with Forwarder(server.bootstrap) as name:
        yield name


async def _move(server: KafkaServer, name: Forwarder, workspace: Workspace) -> None:
    await asyncio.to_thread(server.stop)
    server.move()
    name.target = server.bootstrap
    await asyncio.to_thread(server.start)
    workspace.cluster = Cluster(server.bootstrap)


async def test_all_brokers_under_other_addresses(
    server: KafkaServer, mortal: Workspace, name: Forwarder
) -> None:
    """When all brokers come back under other addresses behind the same bootstrap name, consumer
    and producer find them there, and events flow within a minute; meanwhile the daemon is not
    ready, and a metric says how long no broker has answered.
    """
    topic = mortal.topic("event")
    await mortal.create_topics(partitions=1)
    mortal.write_settings(kafka={"bootstrap_servers": name.address})
    async with Receiver(
        otherwise=lambda head: response(404 if b"webhook-id: bad" in head else 200)
    ) as receiver:
        mortal.write_hooks(hook("a", receiver.origin))
        async with Daemon(mortal.config) as daemon:
            await mortal.cluster.produce(topic, [event("bad1")])
            await wait_until(mortal.caught_up, "the first event to be settled")
            assert await daemon.sample(UNREACHABLE) == 0
            await asyncio.to_thread(server.stop)
            await wait_until(lambda: _unreachable(daemon), "the metric to rise")
            assert not await daemon.ready()
            await _move(server, name, mortal)
            await mortal.cluster.produce(topic, [event("bad2"), event("good")])
            await wait_until(
                lambda: ids(receiver.requests).keys() == {"bad1:a", "bad2:a", "good:a"},
                "the next events to be delivered",
                patience=MINUTE,
            )
            await wait_until(mortal.caught_up, "all to be settled", patience=MINUTE)
            await wait_until(daemon.ready, "the daemon to be ready again")
            assert await daemon.sample(UNREACHABLE) == 0
            assert await daemon.stop() == 0
    assert len(await mortal.dead_letters()) == 2


async def _unreachable(daemon: Daemon) -> bool:
    return await daemon.sample(UNREACHABLE) > 1


async def test_a_broker_that_is_away_is_not_dialled_without_pause(
    server: KafkaServer, mortal: Workspace
) -> None:
    """While the only broker accepts connections and ends them at once, the daemon stays alive and
    dials a few times a second, not forty times.
    """
    await mortal.create_topics(partitions=1)
    mortal.write_settings()
    mortal.write_hooks(hook("a", "http://127.0.0.1:9"))
    async with Daemon(mortal.config) as daemon:
        await asyncio.to_thread(server.stop)
        nowhere = f"{HOST}:{free_port()}"
        async with Forwarder(nowhere, port=server.node.port) as gone:
            await wait_until(lambda: _unreachable(daemon), "the metric to rise")
            before, began = gone.connections, time.monotonic()
            await wait_until(lambda: gone.connections > before + 10, "further attempts")
            took = time.monotonic() - began
            assert (await daemon.get("/healthz"))[0] == 200
        assert took > 1.0
