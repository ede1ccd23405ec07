"""A cluster, and a workspace in it, for each test of the whole daemon."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from support.cluster import Cluster
from support.secure_broker import SecureBroker
from support.workspace import Workspace


@pytest.fixture
def cluster(bootstrap_servers: str) -> Cluster:
    """The broker that the tests share."""
    return Cluster(bootstrap_servers)


@pytest.fixture(scope="session")
def secure_broker(
    kafka_lib: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SecureBroker]:
    """A broker with authentication, started when the first test asks for it."""
    broker = SecureBroker(kafka_lib, tmp_path_factory.mktemp("secure"))
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


@pytest.fixture
async def workspace(
    cluster: Cluster, topic_prefix: str, tmp_path: Path
) -> AsyncIterator[Workspace]:
    """The files and names of one daemon; its topics are removed with the test."""
    workspace = Workspace(tmp_path, cluster, topic_prefix)
    yield workspace
    await workspace.remove_topics()
