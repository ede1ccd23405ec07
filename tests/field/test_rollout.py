"""A rollout: two replicas of one group, of which one does not know a hook yet."""

import time
from pathlib import Path

import pytest

from consumer.records.delivery_metadata import DeliveryMetadata
from support.daemon import Daemon
from support.dead_letters import WrittenDeadLetter, write_dead_letters
from support.receiver import Receiver, Reply, response
from support.receiver_harness import Arrival, ReceiverHarness
from support.waiting import wait_until
from support.workspace import Workspace, event, hook


def _config_with(workspace: Workspace, folder: Path, *hooks: dict[str, object]) -> Path:
    """The settings file of a replica of the same group that has other definitions."""
    config, definitions = workspace.config, workspace.hooks_folder
    workspace.folder = folder
    folder.mkdir()
    workspace.hooks_folder.mkdir()
    workspace.write_settings()
    workspace.write_hooks(*hooks)
    other = workspace.config
    workspace.folder = config.parent
    assert workspace.hooks_folder == definitions
    return other


@pytest.mark.parametrize("before", ["unknown", "off"])
async def test_a_replica_that_lags_behind_gives_nothing_up(
    workspace: Workspace, tmp_path: Path, before: str
) -> None:
    """While one replica does not know a hook yet, or knows it as switched off, none of its deferred
    deliveries becomes a dead letter: the replica that knows it sends them all.
    """
    names = [f"e{number}" for number in range(10)]

    def answer(arrival: Arrival) -> Reply:
        return response(503 if arrival.attempt == 1 else 200)

    conduct = ReceiverHarness(answer)
    await workspace.create_topics()
    workspace.write_settings()
    async with Receiver(otherwise=conduct) as receiver:
        new, other = hook("new", receiver.origin), hook("other", receiver.origin, select=["x"])
        workspace.write_hooks(new, other)
        off = [{**new, "enabled": False}] if before == "off" else []
        old = _config_with(workspace, tmp_path / "old", other, *off)
        async with Daemon(old), Daemon(workspace.config) as renewed:
            await wait_until(renewed.ready, "the new replica")
            sent = 0

            async def enough() -> bool:
                """New events of an old replica's partitions match nothing there."""
                nonlocal sent
                if len(conduct.attempts) < len(names):
                    async with workspace.cluster.producer() as producer:
                        for name in (f"e{number}" for number in range(sent, sent + 10)):
                            topic, key = workspace.topic("event"), name.encode()
                            await producer.send(topic, event(name), key=key)
                    sent += 10
                return len(conduct.attempts) >= len(names)

            await wait_until(enough, "ten deliveries of the new hook")

            def delivered() -> bool:
                return all(number == 2 for number in conduct.attempts.values())

            await wait_until(delivered, "each to be sent again")
            await wait_until(workspace.caught_up, "all to be settled")
    assert await workspace.dead_letters() == []


async def test_a_hook_that_stays_unknown_is_removed(workspace: Workspace) -> None:
    """A deferred delivery whose hook has been unknown for ten minutes is a dead letter
    `hook_removed`; one whose hook has been unknown for less goes on waiting.
    """
    await workspace.create_topics()
    workspace.write_settings()
    workspace.write_hooks(hook("other", "http://127.0.0.1:9"))

    def waiting(number: int, unknown_for: float) -> WrittenDeadLetter:
        metadata = DeliveryMetadata(
            "hook_removed",
            workspace.topic("event"),
            0,
            number,
            0,
            "event",
            delivery_id=f"e{number}:gone",
            hook="gone",
            attempts=1,
            not_before=time.time(),
            unknown_since=time.time() - unknown_for,
        )
        return WrittenDeadLetter(metadata, event(f"e{number}"), group=workspace.group)

    async with Daemon(workspace.config):
        await write_dead_letters(
            workspace.cluster, workspace.retry_topics[0], [waiting(1, 601.0), waiting(2, 500.0)]
        )
        [dead_letter] = await wait_until(workspace.dead_letters, "a dead letter")

        async def again() -> bool:
            found = [
                r
                for retry_topic in workspace.retry_topics
                for r in await workspace.cluster.read(retry_topic)
            ]
            return len(found) >= 4

        await wait_until(again, "the other one to be deferred again, and again")
        assert len(await workspace.dead_letters()) == 1
    assert dead_letter.facts["hookstream-delivery-id"] == "e1:gone"
    assert dead_letter.facts["hookstream-reason"] == "hook_removed"
