"""A workspace in the shared cluster, for what runs on the real broker as well."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.cluster import Cluster
from support.workspace import Workspace


@pytest.fixture
async def workspace(
    bootstrap_servers: str, topic_prefix: str, tmp_path: Path
) -> AsyncIterator[Workspace]:
    """A workspace; its topics are removed with the test."""
    workspace = Workspace(tmp_path, Cluster(bootstrap_servers), topic_prefix)
    yield workspace
    await workspace.remove_topics()
