"""Hooks whose definition says `enabled: false`."""

import signal

from support.daemon import Daemon
from support.receiver import Receiver
from support.receiver_harness import ReceiverHarness
from support.waiting import wait_until
from support.workspace import Workspace, event, hook

MISSED = 'hookstream_disabled_matches_total{hook="a"}'
UNMATCHED = 'hookstream_events_total{result="unmatched",trigger="event"}'


async def test_a_counter_tells_how_many_events_a_switched_off_hook_missed(
    workspace: Workspace,
) -> None:
    """Events that would have matched a hook with `enabled: false` are counted for it, and once it
    is enabled again it gets what comes then.
    """
    conduct = ReceiverHarness()
    await workspace.create_topics()
    workspace.write_settings()
    async with Receiver(otherwise=conduct) as receiver:
        definition = hook("a", receiver.origin, select=["wanted"])
        workspace.write_hooks({**definition, "enabled": False})
        async with Daemon(workspace.config) as daemon:
            topic = workspace.topic("event")
            missed = [event(f"m{number}", "wanted") for number in range(20)]
            await workspace.cluster.produce(topic, [*missed, event("other", "unwanted")])
            await wait_until(workspace.caught_up, "all to be settled")
            samples = await daemon.samples()
            workspace.write_hooks(definition)
            daemon.signal(signal.SIGHUP)
            await wait_until(lambda: daemon.said("hooks and settings reloaded"), "the reload")
            await workspace.cluster.produce(topic, [event("late", "wanted")])
            await wait_until(lambda: conduct.attempts["late:a"], "a delivery")
            assert await daemon.sample(MISSED) == 20
            assert await daemon.stop() == 0
    assert (samples[MISSED], samples[UNMATCHED]) == (20, 21)
    assert conduct.attempts == {"late:a": 1}
