"""Live definitions while their broker or their topic is away."""

import asyncio

from support.broker import KafkaServer
from support.daemon import Daemon
from support.live_hooks import LIVE, PROBLEMS, LiveHooks, in_force
from support.received import parse
from support.receiver import Receiver
from support.waiting import wait_until
from support.workspace import Workspace, event, hook


async def _sent(workspace: Workspace, receiver: Receiver, event_id: str) -> set[str]:
    """Write one event and wait for its delivery."""
    before = len(receiver.requests)
    await workspace.cluster.produce(workspace.topic("event"), [event(event_id)])
    await receiver.until(requests=before + 1)
    return {parse(head).target for head in receiver.requests[before:]}


async def test_definitions_change_over_a_broker_that_dies(
    server: KafkaServer, mortal: Workspace
) -> None:
    """A broker that is killed behind a change and started again costs neither that change nor later
    ones, and the hooks in force stay so meanwhile.
    """
    await mortal.create_topics()
    mortal.write_settings(hooks=LIVE)
    live = LiveHooks(mortal)
    async with Receiver() as receiver, Daemon(mortal.config) as daemon:
        await in_force(daemon, await live.put(hook("a", receiver.origin, "?v=1")))
        assert await _sent(mortal, receiver, "e1") == {"/h/a?v=1"}
        record = await live.put(hook("a", receiver.origin, "?v=2"))
        await asyncio.to_thread(server.kill)
        assert await daemon.sample("hookstream_hooks") == 1
        await asyncio.to_thread(server.restart)
        await in_force(daemon, record)
        assert await _sent(mortal, receiver, "e2") == {"/h/a?v=2"}
        await in_force(daemon, await live.put(hook("a", receiver.origin, "?v=3")))
        assert await _sent(mortal, receiver, "e3") == {"/h/a?v=3"}
        assert await daemon.sample(PROBLEMS) == 0
        assert await daemon.stop() == 0


async def test_a_topic_of_definitions_that_is_deleted_turns_off_nothing(
    workspace: Workspace,
) -> None:
    """If the definitions' topic is deleted, the daemon makes it again, its hooks stay in force and
    are problems, and new definitions of them end that.
    """
    await workspace.create_topics()
    workspace.write_settings(hooks=LIVE)
    live = LiveHooks(workspace)
    async with Receiver() as receiver, Daemon(workspace.config) as daemon:
        await in_force(daemon, await live.put(hook("a", receiver.origin, "?v=1")))
        await workspace.cluster.delete([live.topic])

        async def reported() -> bool:
            return await daemon.sample(PROBLEMS) == 1

        await wait_until(reported, "the lost definition to be reported", patience=60)
        assert await _sent(workspace, receiver, "e1") == {"/h/a?v=1"}
        await live.put(hook("a", receiver.origin, "?v=2"))

        async def mended() -> bool:
            return await daemon.sample(PROBLEMS) == 0

        await wait_until(mended, "the definition to be in force")
        assert await _sent(workspace, receiver, "e2") == {"/h/a?v=2"}
        assert await daemon.stop() == 0
