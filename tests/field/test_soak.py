"""The short form of `make soak`, which runs for ten minutes."""

from pathlib import Path

from support.cluster import Cluster
from support.soak import Limits, Plan, Soak, judge
from support.workspace import Workspace

_PLAN = Plan(seconds=40, per_second=1_000, failing_one_in=5, reload_seconds=8)
_LIMITS = Limits(peak=200, growth=40, more=800)
"""Coverage, which measures the daemon here, has its own share of the memory, and in forty seconds a
daemon is still warming up: `make soak` allows 105 MiB and a growth of 6. Connections to former
hosts pile up for longer than this test takes.
"""


async def test_a_loaded_daemon_keeps_its_size(
    bootstrap_servers: str, topic_prefix: str, tmp_path: Path
) -> None:
    """While one delivery in five waits in a retry topic and the hooks get other hosts every few
    seconds, memory, open files and sockets stay flat, the healthy hooks get each of their events,
    and the daemon logs no error.
    """
    workspace = Workspace(tmp_path, Cluster(bootstrap_servers), topic_prefix)
    soak = Soak(workspace, _PLAN)
    try:
        await soak.run()
    finally:
        await workspace.remove_topics()
    assert judge(soak.samples, _LIMITS) == []
    assert soak.complaints == []
