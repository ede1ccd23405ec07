"""Two members of one group: they share the partitions, one leaves, and nothing is lost."""

import asyncio

from support.daemon import Daemon
from support.received import ids
from support.receiver import Receiver
from support.waiting import wait_until
from support.workspace import Workspace, event, hook, ids_of

DELIVERED = 'hookstream_deliveries_total{hook="a",outcome="delivered"}'


class _Writer:
    """Writes events until told to stop, each batch acknowledged before the next."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._stopping = False
        self.names: list[str] = []

    async def run(self) -> None:
        topic = self._workspace.topic("event")
        while not self._stopping:
            batch = [f"e{len(self.names) + number}" for number in range(20)]
            await self._workspace.cluster.produce(topic, map(event, batch))
            self.names += batch

    def stop(self) -> None:
        self._stopping = True


async def _works(daemon: Daemon, more_than: float = 0) -> None:
    async def delivered() -> bool:
        return await daemon.sample(DELIVERED) > more_than

    await wait_until(delivered, "the member to deliver")


async def test_members_come_and_go_and_nothing_is_lost(workspace: Workspace) -> None:
    """Every event is delivered exactly once while a second member joins and leaves.

    1. One member, and events all the time. 2. A second one joins: both deliver. 3. It leaves, and
    the first one goes on. 4. Every event was delivered, and none twice: what is under way at a
    change is settled and committed first.
    """
    await workspace.create_topics()
    workspace.write_settings()
    writer = _Writer(workspace)
    async with Receiver() as receiver:
        workspace.write_hooks(hook("a", receiver.origin))
        async with Daemon(workspace.config) as first:
            [everything] = [len(line["partitions"]) for line in first.said("partitions assigned")]
            writing = asyncio.create_task(writer.run())
            await _works(first)
            async with Daemon(workspace.config) as second:
                await _works(second)
                await _works(first, await first.sample(DELIVERED))
                assert await second.stop() == 0
            await wait_until(
                lambda: len(first.said("partitions assigned")[-1]["partitions"]) == everything,
                "the first to have all again",
            )
            await _works(first, await first.sample(DELIVERED))
            writer.stop()
            await writing
            await wait_until(workspace.caught_up, "every event to be settled")
            assert await first.stop() == 0
        assert first.complaints == second.complaints == []
        attempts = ids(receiver.requests)
        assert ids_of("a", writer.names) - attempts.keys() == set()
        assert {one: times for one, times in attempts.items() if times > 1} == {}
    assert await workspace.dead_letters() == []
