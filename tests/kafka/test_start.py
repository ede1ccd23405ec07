"""What a daemon loads before it delivers."""

from support.daemon import Daemon
from support.receiver import Receiver
from support.waiting import wait_until
from support.workspace import Workspace, event, hook

UNUSED = {"typer", "rich", "confluent_kafka"}
"""Packages of the other commands and of the demo."""


async def test_a_daemon_imports_nothing_of_the_other_commands(workspace: Workspace) -> None:
    """A daemon that has delivered and stops has imported neither the parser of command lines, nor
    what prints tables, nor the demo's broker.
    """
    await workspace.create_topics()
    workspace.write_settings()
    async with Receiver() as receiver:
        workspace.write_hooks(hook("a", receiver.origin))
        await workspace.cluster.produce(workspace.topic("event"), [event("e1")])
        async with Daemon(workspace.config, {"PYTHONPROFILEIMPORTTIME": "1"}) as daemon:
            await receiver.until(requests=1)
            await wait_until(workspace.caught_up, "all to be settled")
            assert await daemon.stop() == 0
    imported = {line.rpartition("|")[2].strip() for line in daemon.lines if "import time:" in line}
    assert {"consumer.app", "aiokafka"} <= imported, "the list of imports is incomplete"
    assert not UNUSED & imported
