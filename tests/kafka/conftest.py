"""A cluster, and a workspace in it, for each test of the whole daemon."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.cluster import Cluster
from support.workspace import Workspace


@pytest.fixture
def cluster(bootstrap_servers: str) -> Cluster:
    """The broker that the tests share."""
    return Cluster(bootstrap_servers)


@pytest.fixture
async def workspace(
    cluster: Cluster, topic_prefix: str, tmp_path: Path
) -> AsyncIterator[Workspace]:
    """Files and names of one daemon; its topics go with the test."""
    workspace = Workspace(tmp_path, cluster, topic_prefix)
    yield workspace
    await workspace.remove_topics()
