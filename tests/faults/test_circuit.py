"""A receiver that fails for a while: its circuit opens, probes, closes; then all is delivered."""

import asyncio
from dataclasses import replace

import pytest

from consumer.delivery.scheduling.circuit import CircuitPolicy
from support.broker import free_port
from support.commits_harness import CommitsHarness
from support.daemon import Daemon
from support.ledger_harness import LedgerHarness
from support.receiver import Receiver, response
from support.receiver_harness import ReceiverHarness
from support.waiting import wait_until
from support.workspace import Workspace, event, hook, ids_of

OPEN = 'hookstream_circuit_open{hook="a"}'
FAILURES = CircuitPolicy().min_volume
"""As many open a circuit; fewer say nothing."""
REFUSED = 'hookstream_attempts_total{hook="flapping",status="connect"}'


async def _only_own_topics_have_lag(workspace: Workspace) -> bool:
    return {topic for topic, _ in await workspace.behind()} <= set(workspace.own_topics)


def _states(daemon: Daemon) -> list[str]:
    """The circuit's states as the log tells them."""
    return [line["state"] for line in daemon.said("circuit changed")]


async def test_circuit_opens_probes_one_at_a_time_and_closes(workspace: Workspace) -> None:
    """A circuit opens for a receiver that fails, probes with one request at a time, and closes at
    its first success.

    1. A receiver answers 503 until the circuit is open: log and metric say so. 2. More events are
    settled without an attempt: they wait in the overflow topic. 3. When its time has come there is
    one request, the probe; while it has no answer there is no other, and what waits is not written
    again. 4. It is answered 200: the circuit is closed, and every delivery is made, with its own
    webhook-id, in the order of the topic.
    """
    early, late = [f"early{n}" for n in range(FAILURES)], [f"late{n}" for n in range(200)]
    together, probed = asyncio.Event(), asyncio.Event()
    conduct = ReceiverHarness(
        lambda _arrival: (
            replace(response(503), after=together)
            if len(conduct.arrivals) <= FAILURES
            else replace(response(200), after=probed)
        )
    )
    await workspace.create_topics()
    workspace.write_settings(delivery={"timeout": "2m"})
    async with Receiver(otherwise=conduct) as receiver:
        workspace.write_hooks(hook("a", receiver.origin))
        async with Daemon(workspace.config) as daemon:
            topic = workspace.topic("event")
            await workspace.cluster.produce(topic, map(event, early))
            await wait_until(lambda: len(conduct.arrivals) == FAILURES, "as many as it takes")
            together.set()
            await wait_until(lambda: _states(daemon) == ["open"], "the circuit to open")
            assert await daemon.sample(OPEN) == 1
            await workspace.cluster.produce(topic, map(event, late))
            await wait_until(lambda: len(conduct.arrivals) > FAILURES, "the probe")
            await wait_until(lambda: _only_own_topics_have_lag(workspace), "all to overflow")
            for _ in range(3):  # later events change nothing for those that wait
                late.append(f"later{len(late)}")
                await workspace.cluster.produce(topic, [event(late[-1])])
                await wait_until(lambda: _only_own_topics_have_lag(workspace), "it to overflow")
            written = await workspace.cluster.ends([workspace.overflow_topic])
            assert sum(written.values()) <= len(early) + len(late)
            assert len(conduct.arrivals) == FAILURES + 1
            assert _states(daemon) == ["open", "half_open"]
            assert await daemon.sample(OPEN) == 1
            probed.set()
            await wait_until(workspace.caught_up, "all to be delivered")
            assert await daemon.sample(OPEN) == 0
            assert await daemon.stop() == 0
        assert _states(daemon) == ["open", "half_open", "closed"]
    assert daemon.complaints == []
    assert await workspace.dead_letters() == []
    expected = dict.fromkeys(ids_of("a", early), 2) | dict.fromkeys(ids_of("a", late), 1)
    assert conduct.attempts == expected


@pytest.mark.parametrize("transport", ["curl", "aiohttp"])
async def test_a_receiver_that_comes_and_goes(workspace: Workspace, transport: str) -> None:
    """A receiver that goes away twice gets every event in the end, and a steady one beside it gets
    its events meanwhile.

    1. Of two receivers one closes its listening socket and its connections, and comes back at the
    same port, twice, while events are written. 2. The steady one gets each event meanwhile. 3. All
    is delivered in the end, and no commit ever passed what was neither delivered nor deferred.
    """
    port = free_port()
    await workspace.create_topics()
    workspace.write_settings(delivery={"transport": transport})
    async with (
        LedgerHarness(workspace, ["steady", "flapping"]) as ledger,
        Receiver(otherwise=ledger) as steady,
    ):
        workspace.write_hooks(
            hook("steady", steady.origin),
            hook("flapping", f"http://127.0.0.1:{port}", order="user"),
        )
        async with Daemon(workspace.config) as daemon, CommitsHarness(ledger):

            async def answered(hook_id: str) -> bool:
                return {f"e{n}:{hook_id}" for n in range(len(ledger.owed))} <= set(ledger.answered)

            for _ in range(2):
                async with Receiver(otherwise=ledger, port=port):
                    await ledger.write(100)
                    await wait_until(lambda: answered("flapping"), "all", patience=90)
                before = await daemon.sample(REFUSED)
                await ledger.write(100)

                async def refused(before: float = before) -> bool:
                    return await daemon.sample(REFUSED) > before

                await wait_until(lambda: answered("steady"), "the steady one")
                await wait_until(refused, "a refused connection")
            async with Receiver(otherwise=ledger, port=port):
                await wait_until(workspace.caught_up, "all to be settled", patience=90)
                samples = await daemon.samples()
            assert await daemon.stop() == 0
        assert daemon.complaints == []
        await ledger.check()
    assert samples["hookstream_in_flight"] == 0
    assert set(ledger.answered) == ledger.expected
    assert await workspace.dead_letters() == []
    assert ledger.repeated == set()
