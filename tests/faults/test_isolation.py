"""No endpoint holds back another: endpoints that are down or hang, beside others that are well."""

import socket
from collections.abc import Iterator

import pytest

from support.commits_harness import PublishedRecords
from support.daemon import Daemon
from support.receiver import Receiver, Reply, Then
from support.receiver_harness import ReceiverHarness
from support.waiting import wait_until
from support.workspace import Workspace, event, hook, ids_of

TIMEOUTS = 'hookstream_attempts_total{{hook="{}",status="timeout"}}'


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that refuses: bound, so that no other process takes it, and not listening."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def _names(number: int) -> list[str]:
    return [f"e{serial}" for serial in range(number)]


async def _published(workspace: Workspace) -> set[str]:
    """The deliveries that are, or were, on a retry or dead-letter topic."""
    published = PublishedRecords(workspace)
    await published.start()
    try:
        await published.catch_up()
    finally:
        await published.stop()
    return set(published.by_delivery)


@pytest.mark.parametrize("transport", ["curl", "aiohttp"])
async def test_one_dead_endpoint_of_ten(
    workspace: Workspace, transport: str, closed_port: int
) -> None:
    """One dead endpoint of ten holds back none of the nine others.

    1. Ten hooks want every event; the tenth's address refuses connections. 2. The nine others get
    everything, once, and the events are settled, while all of the tenth's deliveries still wait in
    a retry topic or the overflow topic.
    """
    names = _names(300)
    await workspace.create_topics()
    workspace.write_settings(delivery={"transport": transport})
    well = [f"well{number}" for number in range(9)]
    expected = {delivery for hook_id in well for delivery in ids_of(hook_id, names)}
    conduct = ReceiverHarness()
    async with Receiver(otherwise=conduct) as receiver:
        workspace.write_hooks(
            *(hook(hook_id, receiver.origin) for hook_id in well),
            hook("dead", f"http://127.0.0.1:{closed_port}"),
        )
        async with Daemon(workspace.config) as daemon:
            await workspace.cluster.produce(workspace.topic("event"), map(event, names))
            await wait_until(lambda: conduct.reached(expected), "the nine", patience=60)

            async def only_own_topics_have_lag() -> bool:
                return {topic for topic, _ in await workspace.behind()} <= set(workspace.own_topics)

            await wait_until(only_own_topics_have_lag, "the events to be settled")
            assert await _published(workspace) >= ids_of("dead", names)
            assert await workspace.dead_letters() == []
            samples = await daemon.samples()
            assert await daemon.stop() == 0
    assert conduct.attempts == dict.fromkeys(expected, 1)
    outcomes = [
        samples[f'hookstream_deliveries_total{{hook="dead",outcome="{outcome}"}}']
        for outcome in ("retried", "overflowed")
    ]
    assert len(names) <= sum(outcomes)
    assert samples['hookstream_circuit_open{hook="dead"}'] == 1


@pytest.mark.parametrize("transport", ["curl", "aiohttp"])
async def test_most_endpoints_hang_at_once(workspace: Workspace, transport: str) -> None:
    """Six endpoints that hang hold back neither of the two that answer.

    1. Six of eight endpoints take requests and never answer, and their queues are twice what may
    wait; the time-out is far. 2. The two others get everything before the first request to a hung
    one is given up. 3. The stop defers what hangs, and nothing is lost.
    """
    names = _names(400)
    hung, well = [f"hung{n}" for n in range(6)], ["well0", "well1"]
    expected = {delivery for hook_id in well for delivery in ids_of(hook_id, names)}
    hanging, conduct = ReceiverHarness(lambda _arrival: Reply(then=Then.HANG)), ReceiverHarness()
    await workspace.create_topics()
    workspace.write_settings(
        delivery={
            "transport": transport,
            "concurrency": 32,
            "timeout": "2m",
            "shutdown_grace": "2s",
        }
    )
    async with Receiver(otherwise=hanging) as hole, Receiver(otherwise=conduct) as receiver:
        workspace.write_hooks(
            *(hook(hook_id, hole.origin) for hook_id in hung),
            *(hook(hook_id, receiver.origin) for hook_id in well),
        )
        async with Daemon(workspace.config) as daemon:
            await workspace.cluster.produce(workspace.topic("event"), map(event, names))
            await wait_until(lambda: conduct.reached(expected), "the two", patience=60)
            samples = await daemon.samples()
            assert [samples.get(TIMEOUTS.format(hook_id), 0) for hook_id in hung] == [0] * 6
            assert {arrival.hook for arrival in hanging.arrivals} == set(hung)
            assert await daemon.stop() == 0
    assert conduct.attempts == dict.fromkeys(expected, 1)
    missing = {d for hook_id in hung for d in ids_of(hook_id, names)}
    assert {topic for topic, _ in await workspace.behind()} <= set(workspace.own_topics)
    assert await _published(workspace) >= missing
