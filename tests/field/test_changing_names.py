"""Names of hosts whose addresses are wrong for a while, as behind a DNS sinkhole."""

from pathlib import Path

import pytest

from support.daemon import Daemon
from support.names import Names
from support.receiver import Receiver, response
from support.waiting import wait_until
from support.workspace import Workspace, event, hook

SOON = 40.0
"""Seconds: many times what another lookup needs, and less than what addresses are kept for."""


@pytest.fixture
def names(tmp_path: Path) -> Names:
    """The daemon's own."""
    folder = tmp_path / "names"
    folder.mkdir()
    return Names(folder)


@pytest.mark.parametrize("transport", ["curl", "aiohttp"])
@pytest.mark.parametrize(
    ("wrong", "status"),
    [("0.0.0.0", "blocked"), ("127.0.0.9", "connect")],
    ids=["sinkhole", "refused"],
)
async def test_a_name_with_wrong_addresses_is_looked_up_again_within_seconds(
    workspace: Workspace, names: Names, transport: str, wrong: str, status: str
) -> None:
    """A name whose addresses are all refused, or lead nowhere, is looked up again within seconds:
    once they are right, events are delivered.
    """
    attempts = f'hookstream_attempts_total{{hook="a",status="{status}"}}'
    await workspace.create_topics(partitions=1)
    async with Receiver(otherwise=lambda _head: response(200)) as receiver:
        names.lead({"hook.example": [wrong]})
        workspace.write_settings(delivery={"transport": transport})
        workspace.write_hooks(hook("a", receiver.origin.replace("127.0.0.1", "hook.example")))
        async with Daemon(workspace.config, names.environ) as daemon:
            topic = workspace.topic("event")
            await workspace.cluster.produce(topic, [event("early")])
            await wait_until(lambda: daemon.sample(attempts), "an attempt")
            names.lead({"hook.example": ["127.0.0.1"]})

            async def delivered() -> bool:
                await workspace.cluster.produce(topic, [event("late")])
                return bool(receiver.requests)

            await wait_until(delivered, "an event to arrive", patience=SOON)
