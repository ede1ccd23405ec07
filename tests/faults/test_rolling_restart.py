"""Brokers or replicas are restarted one after the other, and deliveries go on."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiokafka.admin import NewTopic

from support.broker import KafkaServer, new_node
from support.cluster import Cluster
from support.commits_harness import CommitsHarness
from support.daemon import Daemon
from support.ledger_harness import LedgerHarness
from support.log_ledger import LOG_EVERYTHING, LogLedger
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
    servers: list[KafkaServer], topic_prefix: str, tmp_path: Path, log_ledger: LogLedger
) -> None:
    """A rolling restart of three brokers stops no delivery and loses none.

    1. Topics have three copies and want two. 2. Under load each broker is restarted, the next one
    when all copies are in step again. 3. Every delivery arrives, and deliveries go on while a
    broker is down; no commit passed what was unsettled.
    """
    bootstrap = ",".join(server.bootstrap for server in servers)
    workspace = Workspace(tmp_path, Cluster(bootstrap), topic_prefix)
    workspace.delivery_log = LOG_EVERYTHING
    await _create(workspace)
    async with LedgerHarness(workspace, ["a"]) as ledger, Receiver(otherwise=ledger) as receiver:
        workspace.write_settings()
        workspace.write_hooks(hook("a", receiver.origin, order="user"))
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
    await log_ledger.check(workspace)


@pytest.mark.timeout(300)
async def test_a_rolling_restart_of_three_replicas(workspace: Workspace) -> None:
    """A rolling restart of three replicas under load loses no delivery and sends none twice.

    1. Three replicas share the partitions. 2. Under load each is stopped while answers are awaited,
    which come only during its stop, and a new one is started in its place. 3. Every delivery was
    sent once, and no commit passed what was unsettled.
    """
    await workspace.create_topics(partitions=4)
    await workspace.create_own_topics()
    async with (
        LedgerHarness(workspace, ["a"]) as ledger,
        Receiver(otherwise=ledger) as receiver,
        AsyncExitStack() as stack,
    ):
        workspace.write_settings()
        workspace.write_hooks(hook("a", receiver.origin))
        replicas = [
            await stack.enter_async_context(Daemon(workspace.config)) for _ in range(COPIES)
        ]
        async with CommitsHarness(ledger):
            new = []
            async with ledger.load(batch=20, ahead=200):
                for replica in replicas:
                    await _stop_while_answers_are_awaited(replica, ledger)
                    new.append(await stack.enter_async_context(Daemon(workspace.config)))
                    enough = len(ledger.answered) + 200
                    await wait_until(lambda: len(ledger.answered) >= enough, "deliveries")  # noqa: B023  # it is called here
            await wait_until(workspace.caught_up, "all to be settled", patience=90)
            for replica in new:
                assert await replica.stop() == 0
        await ledger.check()
    assert set(ledger.attempts.values()) == {1}


async def _stop_while_answers_are_awaited(replica: Daemon, ledger: LedgerHarness) -> None:
    ledger.held = held = asyncio.Event()
    await wait_until(lambda: ledger.attempts.total() > ledger.answered.total(), "requests")
    replica.signal(signal.SIGTERM)
    await wait_until(lambda: replica.said("stopping"), "the stop to begin")
    ledger.held = None
    held.set()
    assert await replica.wait() == 0


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
