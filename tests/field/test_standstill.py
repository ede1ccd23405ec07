"""A process that did not run for a while: stopped, as a frozen container is."""

import asyncio
import signal
from pathlib import Path

from support.cluster import Cluster
from support.daemon import Daemon
from support.ledger_harness import LedgerHarness
from support.receiver import Receiver
from support.waiting import wait_until
from support.workspace import Workspace, hook

WRITTEN = [
    f'hookstream_deliveries_total{{hook="a",outcome="{outcome}"}}'
    for outcome in ("retried", "overflowed")
]
SHORT = 4.0
"""Seconds: longer than an attempt may take here, shorter than a member may be silent."""


async def test_time_outs_over_a_standstill_are_not_the_endpoints_fault(
    workspace: Workspace,
) -> None:
    """A process that was stopped for longer than its requests may take opens no circuit and defers
    nothing: what was under way is sent again, and the first probe of its health is answered well.
    """
    await workspace.create_topics()
    async with LedgerHarness(workspace, ["a"]) as ledger, Receiver(otherwise=ledger) as receiver:
        workspace.write_settings(delivery={"timeout": "3s"})
        workspace.write_hooks(hook("a", receiver.origin))
        async with Daemon(workspace.config) as daemon:
            ledger.held = asyncio.Event()  # these are never answered
            await ledger.write(60)
            await receiver.until(requests=60)
            ledger.held = None
            daemon.signal(signal.SIGSTOP)
            await asyncio.sleep(SHORT)  # the fault itself: not waiting for anything
            daemon.signal(signal.SIGCONT)
            assert (await daemon.get("/healthz"))[0] == 200
            await wait_until(lambda: len(ledger.answered) == 60, "all to arrive")
            assert daemon.said("circuit changed") == []
            assert [await daemon.sample(name) for name in WRITTEN] == [0, 0]
        await ledger.check()
    assert set(ledger.attempts.values()) == {2}


async def test_a_short_standstill_changes_nothing(workspace: Workspace) -> None:
    """A process that was stopped for two seconds under load keeps its partitions, defers nothing
    and sends nothing twice.
    """
    await workspace.create_topics()
    async with LedgerHarness(workspace, ["a"]) as ledger, Receiver(otherwise=ledger) as receiver:
        workspace.write_settings(delivery={"per_hook_concurrency": 4})
        workspace.write_hooks(hook("a", receiver.origin))
        async with Daemon(workspace.config) as daemon:
            async with ledger.load(batch=50, ahead=300):
                await wait_until(lambda: len(ledger.answered) > 200, "the load")
                daemon.signal(signal.SIGSTOP)
                await asyncio.sleep(2.0)  # the fault itself: not waiting for anything
                before = len(ledger.answered)
                daemon.signal(signal.SIGCONT)
                assert await daemon.ready()
                await wait_until(lambda: len(ledger.answered) > before + 200, "it to go on")
            await wait_until(workspace.caught_up, "all to be settled")
            assert [await daemon.sample(name) for name in WRITTEN] == [0, 0]
            assert len(daemon.said("partitions assigned")) == 1
            assert daemon.said("circuit changed") == []
        await ledger.check()
    assert ledger.repeated == set()


async def test_a_member_that_slept_longer_than_its_session_sends_nothing_of_before(
    workspace: Workspace, tmp_path: Path
) -> None:
    """A daemon that was stopped for longer than its session sends nothing that it fetched before,
    which another member delivered meanwhile; a member again, it delivers its share of what follows.
    """
    (tmp_path / "other").mkdir()
    other = Workspace(tmp_path / "other", Cluster(workspace.cluster.bootstrap), workspace.prefix)
    await workspace.create_topics(partitions=4)
    async with (
        LedgerHarness(workspace, ["a"]) as ledger,
        LedgerHarness(workspace, ["a"]) as stopped,
        Receiver(otherwise=ledger) as well,
        Receiver(otherwise=stopped) as sleepers,
    ):
        for place, receiver in ((workspace, sleepers), (other, well)):
            place.write_settings(delivery={"per_hook_concurrency": 2})
            place.write_hooks(hook("a", receiver.origin))
        async with Daemon(workspace.config) as sleeper, Daemon(other.config) as awake:
            await wait_until(lambda: _divided(sleeper, awake), "the partitions to be divided")
            stopped.held = asyncio.Event()
            await ledger.write(200)
            await sleepers.until(requests=2)
            sleeper.signal(signal.SIGSTOP)
            await wait_until(lambda: len(ledger.answered) == 200, "the other to deliver all")
            stopped.held.set()
            shares = len(sleeper.said("partitions assigned"))
            sleeper.signal(signal.SIGCONT)
            await wait_until(
                lambda: len(sleeper.said("partitions assigned")) > shares, "it to be a member"
            )
            stopped.held = None
            await ledger.write(100)
            await wait_until(
                lambda: ledger.answered.keys() | stopped.answered.keys() == ledger.expected, "all"
            )
            await wait_until(workspace.caught_up, "all to be settled")
            await wait_until(sleeper.ready, "it to be ready")
            assert sleeper.said("circuit changed") == []
    before = {delivery for owed in ledger.owed[:200] for delivery in owed.deliveries}
    assert sum(stopped.attempts[delivery] for delivery in before) == 2
    assert stopped.attempts.keys() - before
    assert max(ledger.answered.values()) == 1


def _divided(*daemons: Daemon) -> bool:
    last = [daemon.said("partitions assigned")[-1:] for daemon in daemons]
    return all(lines and 0 < len(lines[0]["partitions"]) < 24 for lines in last)
