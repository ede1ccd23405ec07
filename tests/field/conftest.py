"""Workspaces in the shared cluster, on a broker that may be killed, and on three nodes."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from faults.conftest import server
from support.broker import KafkaServer
from support.cluster import Cluster
from support.quorum import Quorum, running_quorum
from support.workspace import Workspace

__all__ = ["mortal", "quorum", "server", "spread", "workspace"]


@pytest.fixture
async def workspace(
    bootstrap_servers: str, topic_prefix: str, tmp_path: Path
) -> AsyncIterator[Workspace]:
    """A workspace in the shared cluster; its topics are removed with the test."""
    workspace = Workspace(tmp_path, Cluster(bootstrap_servers), topic_prefix)
    yield workspace
    await workspace.remove_topics()


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


@pytest.fixture(scope="module")
def quorum(kafka_lib: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Quorum]:
    """Three nodes, shared by the tests of one file; each test leaves them running."""
    with running_quorum(kafka_lib, tmp_path_factory.mktemp("quorum")) as quorum:
        yield quorum


@pytest.fixture
async def spread(quorum: Quorum, topic_prefix: str, tmp_path: Path) -> AsyncIterator[Workspace]:
    """A workspace on the three nodes, all of which run again after the test."""
    workspace = Workspace(tmp_path, Cluster(quorum.bootstrap), topic_prefix)
    yield workspace
    await quorum.revive()
    await workspace.remove_topics()
