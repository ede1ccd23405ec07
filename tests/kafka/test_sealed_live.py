"""Sealed secrets in the daemon: a moved one reaches no receiver, and keys can be exchanged."""

import signal
from typing import Any

import pytest

from consumer.control.sealed import new_key, seal
from support.cluster import Placed
from support.daemon import Daemon
from support.live_hooks import LIVE, PROBLEMS, LiveHooks, in_force
from support.receiver import Receiver
from support.waiting import wait_until
from support.workspace import Workspace, event, hook

CANARY = "canary-of-a-seal"
OLD_PUBLIC, OLD_PRIVATE = new_key()
NEW_PUBLIC, NEW_PRIVATE = new_key()


@pytest.fixture
async def live(workspace: Workspace) -> LiveHooks:
    """The definitions' topic of a workspace whose daemon has the old key."""
    await workspace.create_topics()
    _use_keys(workspace, OLD_PRIVATE)
    return LiveHooks(workspace)


def _use_keys(workspace: Workspace, *keys: str) -> None:
    workspace.write_settings(hooks={**LIVE, "seal_private_key": list(keys)}, log={"level": "debug"})


def _hook(hook_id: str, origin: str, sealed: str) -> dict[str, Any]:
    header = {"key": "X-Key", "source": "fixed", "value": sealed}
    return hook(hook_id, origin, headers=[header])


async def _keys(workspace: Workspace, receiver: Receiver, event_id: str) -> list[str]:
    """The keys that an event's requests had."""
    before = len(receiver.requests)
    await workspace.cluster.produce(workspace.topic("event"), [event(event_id)])
    await wait_until(workspace.caught_up, f"{event_id} to be settled")
    lines = [line for head in receiver.requests[before:] for line in head.decode().split("\r\n")]
    return sorted(line.removeprefix("X-Key: ") for line in lines if line.startswith("X-Key"))


async def _reload(daemon: Daemon) -> None:
    told = "hooks and settings reloaded"
    before = len(daemon.said(told))
    daemon.signal(signal.SIGHUP)
    await wait_until(lambda: len(daemon.said(told)) > before, "the reload")


async def _create_topic(workspace: Workspace, live: LiveHooks) -> None:
    """Create the definitions' topic before the first daemon does."""
    configs = {"cleanup.policy": "compact"}
    await workspace.cluster.create([live.topic], partitions=1, configs=configs)


async def test_a_moved_seal_turns_off_its_hook_alone(workspace: Workspace, live: LiveHooks) -> None:
    """A sealed secret in a definition for another origin reaches no receiver: its hook keeps its
    last good revision, and is off after a restart; another hook goes on. The secret is in no log
    line, metric, status or record.
    """
    shown: list[str] = []
    async with Receiver() as receiver, Receiver() as other:
        sealed = seal(CANARY, receiver.origin, OLD_PUBLIC)
        await _create_topic(workspace, live)
        await live.put(_hook("good", receiver.origin, sealed))
        await live.put(_hook("moved", receiver.origin, sealed))
        for restarted in (False, True):
            async with Daemon(workspace.config) as daemon:
                if not restarted:
                    assert await _keys(workspace, receiver, "e1") == [CANARY, CANARY]
                    record = await live.put(_hook("moved", other.origin, sealed))
                    await in_force(daemon, record)
                assert await daemon.sample(PROBLEMS) == 1
                expected = [CANARY] if restarted else [CANARY, CANARY]
                assert await _keys(workspace, receiver, f"e2-{restarted}") == expected
                [line] = daemon.said("a live definition is refused")[:1]
                assert "is sealed for" in str(line)
                shown += [*daemon.lines, (await daemon.get("/metrics"))[1]]
                assert await daemon.stop() == 0
            shown += daemon.lines
        assert other.requests == []
        for topic in workspace.live_topics:
            shown += map(repr, await workspace.cluster.read(topic))
    assert CANARY not in "".join(shown)
    assert sealed in "".join(shown)


async def test_keys_are_exchanged_without_a_pause(workspace: Workspace, live: LiveHooks) -> None:
    """With both private keys after a reload, values for the old and for the new key are opened.
    After a reload with the new key alone a value for the old one is a problem, whose last good
    revision stays in force, until it is sealed again.
    """
    async with Receiver() as receiver, Daemon(workspace.config) as daemon:
        origin = receiver.origin

        async def put(hook_id: str, text: str, key: str) -> Placed:
            record = await live.put(_hook(hook_id, origin, seal(text, origin, key)))
            await in_force(daemon, record)
            return record

        await put("a", "one", OLD_PUBLIC)
        await put("b", "two", NEW_PUBLIC)
        assert await daemon.sample(PROBLEMS) == 1
        assert await _keys(workspace, receiver, "e1") == ["one"]
        _use_keys(workspace, NEW_PRIVATE, OLD_PRIVATE)
        await _reload(daemon)
        assert await daemon.sample(PROBLEMS) == 0
        assert await _keys(workspace, receiver, "e2") == ["one", "two"]
        _use_keys(workspace, NEW_PRIVATE)
        await _reload(daemon)
        assert await daemon.sample(PROBLEMS) == 1
        assert await _keys(workspace, receiver, "e3") == ["one", "two"]
        await put("a", "three", NEW_PUBLIC)
        assert await daemon.sample(PROBLEMS) == 0
        assert await _keys(workspace, receiver, "e4") == ["three", "two"]
        assert await daemon.stop() == 0
