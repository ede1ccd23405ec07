"""A workspace in a cluster: in the shared one, or in one that a test may kill."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from support.broker import KafkaServer
from support.cluster import Cluster
from support.workspace import Workspace


@pytest.fixture
async def workspace(
    bootstrap_servers: str, topic_prefix: str, tmp_path: Path
) -> AsyncIterator[Workspace]:
    """A workspace for faults that leave the broker alone; its topics are removed with the test."""
    workspace = Workspace(tmp_path, Cluster(bootstrap_servers), topic_prefix)
    yield workspace
    await workspace.remove_topics()


@pytest.fixture(scope="module")
def server(kafka_lib: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """A broker to be killed, shared by the tests of one file; each leaves it running. Every user
    may do everything that no rule forbids.
    """
    rules = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "true",
        # So a test can leave a hanging transaction, as broker faults do (KIP-664).
        "transaction.partition.verification.enable": "false",
        # Compacted topics are compacted while a test waits; by default the broker looks every 15 s.
        "log.cleaner.backoff.ms": "300",
    }
    folder = tmp_path_factory.mktemp("broker")
    with KafkaServer(kafka_lib, folder, extra=rules) as server:
        yield server


@pytest.fixture
async def mortal(
    server: KafkaServer, topic_prefix: str, tmp_path: Path
) -> AsyncIterator[Workspace]:
    """A workspace on the broker that may be killed; the broker runs again after the test."""
    workspace = Workspace(tmp_path, Cluster(server.bootstrap), topic_prefix)
    yield workspace
    if not server.running:
        await asyncio.to_thread(server.start)
    await workspace.remove_topics()
