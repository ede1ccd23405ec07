"""Members of the group come and go: partitions move, deliveries do not get lost."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence

import pytest
from aiokafka.admin import NewPartitions

from consumer.clock import SystemClock
from consumer.delivery.http.curl import CurlTransport
from consumer.delivery.http.transport import AttemptResult, Request
from consumer.stream import client
from support.commits_harness import CommitsHarness
from support.daemon import Daemon, InProcess
from support.ledger_harness import LedgerHarness
from support.receiver import Receiver
from support.waiting import wait_until
from support.workspace import Workspace, hook

CHURN = 20
"""Members that come and go, one each half second."""
REVOKED = 2
"""Times that they must have got a partition, some of them; a busy machine needs more of them."""
RATE, BURST, EVENTS = 40, 20, 300
JITTER_RATIO = 3
"""Requests: from the limiter's look at the clock to the test's, a busy machine may take a while."""


async def _settled(workspace: Workspace, *daemons: Daemon | InProcess) -> None:
    """Everything is committed to the end, and the daemons say the same."""
    await wait_until(workspace.caught_up, "all to be settled")
    for daemon in daemons:
        await wait_until(lambda: _at_rest(daemon), "lag and in flight to be zero")  # noqa: B023


async def _at_rest(daemon: Daemon | InProcess) -> bool:
    samples = await daemon.samples()
    behind = [v for name, v in samples.items() if name.startswith("hookstream_consumer_lag")]
    return not any(behind) and samples["hookstream_in_flight"] == 0


async def test_members_that_come_and_go_each_half_second(workspace: Workspace) -> None:
    """Members that join and leave each half second stop no delivery and move no commit past an
    unsettled event.

    1. One member stays, and while events are written others join and leave, one each half second,
    whether or not they got a partition by then. 2. Deliveries go on all the while. 3. In the end
    all are settled, and no commit went back or passed what was unsettled.
    """
    await workspace.create_topics(partitions=4)
    async with LedgerHarness(workspace, ["a"]) as ledger, Receiver(otherwise=ledger) as receiver:
        workspace.write_settings()
        workspace.write_hooks(hook("a", receiver.origin, order="user"))
        async with Daemon(workspace.config) as stays, CommitsHarness(ledger):
            async with ledger.load(batch=20, ahead=200):
                before = len(ledger.answered)
                async with asyncio.TaskGroup() as leaving:
                    came = 0
                    while came < CHURN or len(stays.said("partitions revoked")) < REVOKED:
                        came += 1
                        passing = InProcess(workspace.config).app
                        leaving.create_task(passing.run())
                        await asyncio.sleep(0.5)  # the fault itself: not waiting for anything
                        passing.stop()
                progress = len(ledger.answered) - before
            await _settled(workspace, stays)
            assert await stays.stop() == 0
        await ledger.check()
    assert progress > CHURN


async def test_what_is_slow_at_a_revocation_is_deferred_and_its_late_answer_changes_nothing(
    workspace: Workspace,
) -> None:
    """Deliveries under way at a revocation are deferred, and their late answers settle nothing in
    the new assignment.

    1. The first member's requests are not answered. 2. A second one joins: the first defers what is
    under way and gives up its partitions. 3. Only then the answers come: they settle nothing of the
    new assignment, no commit passes an unsettled event, and none goes back. 4. What was deferred
    arrives.
    """
    await workspace.create_topics(partitions=4)
    async with LedgerHarness(workspace, ["a"]) as ledger, Receiver(otherwise=ledger) as receiver:
        workspace.write_settings(delivery={"timeout": "1m", "per_hook_concurrency": 8})
        workspace.write_hooks(hook("a", receiver.origin, order="user"))
        ledger.held = late = asyncio.Event()
        async with Daemon(workspace.config) as first, CommitsHarness(ledger):
            await ledger.write(8)
            await receiver.until(requests=4)
            async with Daemon(workspace.config) as second:
                await wait_until(lambda: _divided(first, second), "the partitions to be divided")
                assert await first.sample('hookstream_deliveries_total{hook="a",outcome="retried"}')
                ledger.held = None
                late.set()
                await _settled(workspace, first, second)
                await ledger.write(200)
                await _settled(workspace, first, second)
                assert await second.stop() == 0
            assert await first.stop() == 0
        await ledger.check()
    assert max(ledger.answered.values()) == 2, "late, and out of the retry topic"


def _divided(*daemons: Daemon) -> bool:
    """Whether each has had some of the partitions since the last change."""
    last = [daemon.said("partitions assigned")[-1:] for daemon in daemons]
    return all(lines and 0 < len(lines[0]["partitions"]) < 24 for lines in last)


async def test_two_replicas_share_the_partitions_and_the_rate_limit(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two replicas share the partitions and together keep a hook's rate limit.

    1. Two replicas have half of the partitions each. 2. Far more events come than the hook's rate
    allows. 3. In no span of time do both together start more requests than the rate and the burst
    allow, and both start some. 4. What was deferred for it arrives.
    """
    started: list[float] = []
    by_replica = Counter[int]()
    send = CurlTransport.send

    def note(
        transport: CurlTransport, request: Request, done: Callable[[AttemptResult], None]
    ) -> None:
        started.append(SystemClock.monotonic())
        by_replica[id(transport)] += 1
        send(transport, request, done)

    monkeypatch.setattr(CurlTransport, "send", note)
    limit = {"requests": RATE, "per": "1s", "burst": BURST}
    await workspace.create_topics(partitions=4)
    async with LedgerHarness(workspace, ["a"]) as ledger, Receiver(otherwise=ledger) as receiver:
        workspace.write_settings()
        workspace.write_hooks(hook("a", receiver.origin, rate_limit=limit))
        async with InProcess(workspace.config) as one, InProcess(workspace.config) as two:
            await wait_until(lambda: _shares(one) == _shares(two) == 0.5, "the halves")
            async with CommitsHarness(ledger):
                await ledger.write(EVENTS)
                await _settled(workspace, one, two)
        await ledger.check()
    assert len(started) == EVENTS
    assert min(by_replica.values()) > EVENTS // 4
    assert _worst_excess(started) <= BURST + JITTER_RATIO


def _shares(daemon: InProcess) -> float:
    """The part of the hook's rate that the replica may use."""
    return daemon.app._handler.scheduler._table.shares.hooks["event"]


def _worst_excess(times: Sequence[float]) -> float:
    """The most by which any span of time held more requests than the rate alone allows.

    For a span from the first request to the last one it is their number less the rate times its
    length; with x = number less rate times time, that is the highest rise of x.
    """
    worst, lowest = 0.0, float("inf")
    for number, moment in enumerate(sorted(times)):
        x = number - RATE * moment
        lowest = min(lowest, x)
        worst = max(worst, x - lowest + 1)
    return worst


async def test_partitions_that_are_added_are_consumed_from_their_first_record(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Partitions that are added to a topic are consumed from their first record.

    1. The topic gets more partitions while the daemon runs, and records are written to them at
    once. 2. The daemon finds them, and every record arrives. The age of the metadata is shortened.
    """
    monkeypatch.setattr(client, "_METADATA_MAX_AGE_SECONDS", 0.5)
    await workspace.create_topics(partitions=1)
    async with LedgerHarness(workspace, ["a"]) as ledger, Receiver(otherwise=ledger) as receiver:
        workspace.write_settings()
        workspace.write_hooks(hook("a", receiver.origin))
        async with InProcess(workspace.config) as daemon, CommitsHarness(ledger):
            await ledger.write(100)
            async with workspace.cluster.admin() as admin:
                await admin.create_partitions({workspace.topic("event"): NewPartitions(4)})
            await wait_until(lambda: _partitions(workspace), "the new partitions")
            async with LedgerHarness(workspace, ["a"]) as fresh:  # a producer that knows of them
                fresh.owed = ledger.owed
                await fresh.write(200)
            await wait_until(lambda: len(ledger.answered) == 300, "all to arrive")
            await _settled(workspace, daemon)
        await ledger.check()
    assert {owed.record_ref[1] for owed in ledger.owed} == {0, 1, 2, 3}


async def _partitions(workspace: Workspace) -> bool:
    return len(await workspace.cluster.ends([workspace.topic("event")])) == 4
