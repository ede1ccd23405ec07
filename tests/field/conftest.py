"""The fault tests' fixtures, and a cluster of three nodes."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from faults.conftest import mortal, server, workspace
from support.cluster import Cluster
from support.quorum import Quorum, running_quorum
from support.workspace import Workspace

__all__ = ["mortal", "quorum", "server", "spread", "workspace"]


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
