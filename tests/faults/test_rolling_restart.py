"""Three brokers are restarted one after the other, and deliveries go on."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka.admin import NewTopic

from support.broker import KafkaServer, new_node
from support.cluster import Cluster
from support.commits_harness import CommitsHarness
from support.daemon import Daemon
from support.ledger_harness import LedgerHarness
from support.receiver import Receiver
from support.waiting import wait_until
from support.workspace import Workspace, hook

COPIES = 3


@pytest.fixture
def servers(
    kafka_lib: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[KafkaServer]]:
    """A cluster of three."""
    folder = tmp_path_factory.mktemp("cluster")
    quorum = [new_node(number) for number in range(1, COPIES + 1)]
    servers = [
        KafkaServer(kafka_lib, folder / str(node.id), node=node, quorum=quorum, heap="256m")
        for node in quorum
    ]
    try:
        for server in servers:
            server.launch()
        for server in servers:
            server.wait()
        yield servers
    finally:
        for server in servers:
            server.kill()


@pytest.mark.timeout(300)
async def test_a_rolling_restart_of_three_brokers(
    servers: list[KafkaServer], topic_prefix: str, tmp_path: Path
) -> None:
    """A rolling restart of three brokers stops no delivery and loses none.

    1. Topics have three copies and want two. 2. Under load each broker is restarted, the next one
    when all copies are in step again. 3. Every delivery arrives, and deliveries go on while a
    broker is down; no commit passed what was unsettled.
    """
    bootstrap = ",".join(server.bootstrap for server in servers)
    workspace = Workspace(tmp_path, Cluster(bootstrap), topic_prefix)
    await _create(workspace)
    async with LedgerHarness(workspace, ["a"]) as ledger, Receiver(otherwise=ledger) as receiver:
        workspace.write_settings()
        workspace.write_hooks(hook("a", receiver.origin))
        async with Daemon(workspace.config) as daemon, CommitsHarness(ledger):
            async with ledger.load(batch=20, ahead=200):
                for server in servers:
                    await asyncio.to_thread(server.stop)
                    enough = len(ledger.answered) + 200
                    await wait_until(lambda: len(ledger.answered) >= enough, "deliveries")  # noqa: B023  # it is called here
                    await asyncio.to_thread(server.start)
                    await wait_until(lambda: _in_step(workspace), "all copies to be in step")
            await wait_until(workspace.caught_up, "all to be settled", patience=90)
            assert await daemon.stop() == 0
        await ledger.check()


async def _create(workspace: Workspace) -> None:
    configs = {"min.insync.replicas": "2"}
    async with workspace.cluster.admin() as admin:
        await admin.create_topics(
            [NewTopic(topic, 3, COPIES, topic_configs=configs) for topic in workspace.sources]
        )
    await wait_until(lambda: _in_step(workspace), "the topics")


async def _in_step(workspace: Workspace) -> bool:
    async with workspace.cluster.admin() as admin:
        described = await admin.describe_topics()
    partitions = [part for topic in described for part in topic["partitions"]]
    names = {topic["topic"] for topic in described}
    return names >= set(workspace.sources) and all(len(p["isr"]) == COPIES for p in partitions)
