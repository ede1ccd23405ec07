"""Rate limits under a burst, as the receiver sees them: kept, used, and harmless to others."""

import signal
import time
from collections import Counter
from collections.abc import Sequence

import pytest

from support.daemon import Daemon
from support.rate_harness import Bucket
from support.receiver import Receiver, Reply, response
from support.receiver_harness import Arrival, Latency, ReceiverHarness
from support.waiting import wait_until
from support.workspace import Workspace, event, hook, ids_of

RATE, BURST = 500, 500
LIMIT = {"requests": RATE, "per": "1s", "burst": BURST}
# Half of a burst takes half a minute by it, also where the machine is slow.
SLOWER = {"requests": 100, "per": "1s", "burst": BURST}
EVENTS = 10_000


def _over_budget(arrivals: Sequence[Arrival]) -> float:
    """By how many requests the worst window was over `BURST` and its length times `RATE`.

    Between two arrivals i and j there are j - i + 1 requests: the largest of
    (j - RATE * t_j) - (i - RATE * t_i) is found in one pass.
    """
    lowest, worst = float("inf"), float("-inf")
    for number, arrival in enumerate(arrivals):
        above = number - RATE * arrival.at
        lowest = min(lowest, above)
        worst = max(worst, above - lowest + 1)
    return worst - BURST


async def _count_written(workspace: Workspace) -> int:
    return sum((await workspace.cluster.ends(workspace.own_topics)).values())


async def test_a_burst_for_a_limited_hook(workspace: Workspace) -> None:
    """A burst for a rate-limited hook arrives at its rate and holds back no other hook.

    1. Ten thousand events for a hook with a low rate limit, and behind them in the same topic a
    thousand for another. 2. The other has its events while most of the burst still waits. 3. A
    reload raises the limit, and the burst arrives at its rate: in no window more than the limit
    (and a tolerance of one burst, for the way to the receiver), and not much slower either. 4. No
    delivery is written to our own topics twice.
    """
    burst = [f"b{number}" for number in range(EVENTS)]
    behind = [f"o{number}" for number in range(1_000)]
    conduct = ReceiverHarness()
    await workspace.create_topics()
    workspace.delays = (*workspace.delays, "5s")
    workspace.write_settings()
    async with Receiver(otherwise=conduct) as one, Receiver(otherwise=conduct) as two:
        limited = hook("limited", one.origin, select=["burst"], rate_limit=SLOWER)
        other = hook("other", two.origin, select=["other"])
        workspace.write_hooks(limited, other)
        values = [event(name, "burst") for name in burst] + [event(n, "other") for n in behind]
        await workspace.cluster.produce(workspace.topic("event"), values)
        async with Daemon(workspace.config) as daemon:
            await wait_until(lambda: conduct.reached(ids_of("other", behind)), "the other's")
            assert len(conduct.of("limited")) < EVENTS / 2
            workspace.write_hooks({**limited, "rate_limit": LIMIT}, other)
            daemon.signal(signal.SIGHUP)
            raised = time.monotonic()
            expected = ids_of("limited", burst)
            await wait_until(lambda: conduct.reached(expected), "the burst", patience=90)
            await wait_until(workspace.caught_up, "all to be settled")
            assert await daemon.stop() == 0
    arrivals = conduct.of("limited")
    assert len(arrivals) == EVENTS
    writes = await _count_written(workspace) / EVENTS
    took = arrivals[-1].at - raised
    over = _over_budget(arrivals)
    print(f"{writes:.2f} writes a delivery, {took:.1f} s, {over:.0f} over")  # noqa: T201  # shown by -rP
    assert over <= BURST
    assert took <= 1.5 * EVENTS / RATE
    assert writes <= 1.0
    assert daemon.complaints == []


async def test_a_burst_for_a_limited_host(workspace: Workspace) -> None:
    """A burst for a rate-limited host is shared by its hooks and holds back no other host.

    1. A low `delivery.host_rate_limit`; a burst for two hooks at one host, and behind it events for
    a third at another, which has its own limit: they arrive while most of the burst waits. 2. A
    reload raises the limit. The two together keep within it, and both get their share all along.
    """
    burst = [f"b{number}" for number in range(EVENTS // 4)]
    behind = [f"o{number}" for number in range(100)]
    conduct = ReceiverHarness()
    await workspace.create_topics()
    workspace.write_settings(delivery={"host_rate_limit": SLOWER})
    async with Receiver(otherwise=conduct) as one, Receiver(otherwise=conduct) as two:
        workspace.write_hooks(
            hook("a", one.origin, select=["burst"]),
            hook("b", one.origin, select=["burst"]),
            hook("other", two.origin, select=["other"]),
        )
        values = [event(name, "burst") for name in burst] + [event(n, "other") for n in behind]
        await workspace.cluster.produce(workspace.topic("event"), values)
        async with Daemon(workspace.config) as daemon:
            await wait_until(lambda: conduct.reached(ids_of("other", behind)), "the other's")
            assert len(conduct.of("a", "b")) < len(burst)
            workspace.write_settings(delivery={"host_rate_limit": LIMIT})
            daemon.signal(signal.SIGHUP)
            expected = ids_of("a", burst) | ids_of("b", burst)
            await wait_until(lambda: conduct.reached(expected), "the burst", patience=90)
            await wait_until(workspace.caught_up, "all to be settled")
            assert await daemon.stop() == 0
    arrivals = conduct.of("a", "b")
    writes = await _count_written(workspace) / len(arrivals)
    first = [arrival.hook for arrival in arrivals[: len(burst)]].count("a")
    took = arrivals[-1].at - arrivals[0].at
    over = _over_budget(arrivals)
    print(f"{writes:.2f} writes, {took:.1f} s, {over:.0f} over, a {first}")  # noqa: T201  # shown by -rP
    assert len(arrivals) == 2 * len(burst)
    assert over <= BURST
    assert len(burst) / 4 <= first <= len(burst) * 3 / 4
    assert writes <= 1.0
    assert daemon.complaints == []


async def test_an_unconfigured_limit_is_learnt(workspace: Workspace) -> None:
    """A receiver with a limit that is configured nowhere refuses few requests, and takes all
    deliveries once, in little more time than its limit allows.

    1. A thousand events for a receiver that takes a hundred a second and says 429 with
    `Retry-After: 1` to others, at any time. 2. Every delivery is answered 2xx once, no 429 has
    spent an attempt, and there are no more than 1.15 requests for each.
    """
    names = [f"e{number}" for number in range(1_000)]
    begin = time.monotonic()
    limit = Bucket(100.0, 100.0, 1.0)
    taken: Counter[str] = Counter()

    def answer(arrival: Arrival) -> Reply:
        if limit.refuses(arrival.at - begin) is not None:
            return response(429, "Retry-After: 1")
        taken[arrival.delivery] += 1
        return response()

    conduct = ReceiverHarness(answer)
    await workspace.create_topics()
    workspace.write_settings()
    async with Receiver(otherwise=conduct) as receiver:
        workspace.write_hooks(hook("a", receiver.origin))
        await workspace.cluster.produce(workspace.topic("event"), map(event, names))
        async with Daemon(workspace.config) as daemon:
            await wait_until(lambda: len(taken) == len(names), "all to be taken", patience=90)
            rate = await daemon.sample('hookstream_learned_rate{hook="a"}')
            await wait_until(workspace.caught_up, "all to be settled")
            assert await daemon.stop() == 0
    took = conduct.arrivals[-1].at - conduct.arrivals[0].at
    print(f"{len(conduct.arrivals)} requests, {took:.1f} s, {rate:.0f} a second")  # noqa: T201  # shown by -rP
    assert taken == dict.fromkeys(ids_of("a", names), 1)
    assert len(conduct.arrivals) <= 1.15 * len(names)
    assert sum((await workspace.cluster.ends(workspace.retry_topics)).values()) == 0
    assert await workspace.dead_letters() == []
    assert took <= 40.0
    assert rate > 0
    assert daemon.complaints == []


@pytest.mark.parametrize("transport", ["curl", "aiohttp"])
async def test_concurrency_is_never_exceeded(workspace: Workspace, transport: str) -> None:
    """The bounds on concurrency for a hook, a host and in all are never exceeded and are used.

    1. Three slow hosts with two hooks each; 3 slots a hook, 4 a host, 9 in all. 2. The receivers
    never see more requests open at once, and few slots are left free.
    """
    names = [f"e{number}" for number in range(100)]
    latency = Latency(0.03)
    conduct = ReceiverHarness(latency)
    await workspace.create_topics()
    workspace.write_settings(
        delivery={
            "transport": transport,
            "concurrency": 9,
            "per_host_concurrency": 4,
            "per_hook_concurrency": 3,
        }
    )
    async with (
        Receiver(otherwise=conduct) as one,
        Receiver(otherwise=conduct) as two,
        Receiver(otherwise=conduct) as three,
    ):
        at = {"x": one, "y": two, "z": three}
        hooks = [hook(f"{host}-{n}", at[host].origin) for host in at for n in range(2)]
        workspace.write_hooks(*hooks)
        async with Daemon(workspace.config) as daemon:
            await workspace.cluster.produce(workspace.topic("event"), map(event, names))
            await wait_until(workspace.caught_up, "all to be settled", patience=60)
            assert await daemon.stop() == 0
    assert set(conduct.attempts.values()) == {1}
    assert len(conduct.attempts) == len(names) * len(hooks)
    most = latency.most
    assert 6 < most[""] <= 9
    assert all(2 < most[host] <= 4 for host in at)  # one is always left free for a third hook
    assert all(most[one["id"]] <= 3 for one in hooks)
