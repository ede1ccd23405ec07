"""Deliveries that no receiver takes end in the dead-letter topic, each with its reason."""

import signal
from collections.abc import Mapping

from consumer.delivery.scheduling.results import MAX_CONSECUTIVE_410
from support.cluster import Placed
from support.daemon import Daemon
from support.receiver import Receiver, Reply, response
from support.receiver_harness import Arrival, ReceiverHarness
from support.waiting import wait_until
from support.workspace import Workspace, event, hook, ids_of

RELOADS = 'hookstream_reloads_total{result="ok"}'


async def _write(workspace: Workspace, *names: str) -> None:
    await workspace.cluster.produce(workspace.topic("event"), map(event, names))


async def _reasons(workspace: Workspace) -> Mapping[str, str]:
    """Reason by delivery."""
    dead_letters = await workspace.dead_letters()
    reasons = {
        one.facts["hookstream-delivery-id"]: one.facts["hookstream-reason"] for one in dead_letters
    }
    assert len(reasons) == len(dead_letters), "one dead letter for each"
    return reasons


async def _deferred(workspace: Workspace, deliveries: set[str]) -> list[Placed]:
    """The first retry topic's records, once these deliveries are among them."""

    async def there() -> list[Placed]:
        found = await workspace.cluster.read(workspace.retry_topics[0])
        names = {one.facts["hookstream-delivery-id"] for one in found}
        return found if names >= deliveries else []

    return await wait_until(there, f"{deliveries} on a retry topic")


async def test_a_delivery_expires(workspace: Workspace) -> None:
    """A delivery that no receiver takes is a dead letter `expired` once `delivery.expire_after` has
    passed.

    1. A receiver never takes anything. 2. Once `delivery.expire_after` has passed since its first
    failure, a delivery is a dead letter as `expired`, with all its attempts, and not before.
    """
    names = [f"e{number}" for number in range(10)]
    conduct = ReceiverHarness(lambda _arrival: response(503))
    await workspace.create_topics()
    workspace.write_settings(delivery={"expire_after": "3s"}, retry={"max_attempts": 1_000})
    async with Receiver(otherwise=conduct) as receiver:
        workspace.write_hooks(hook("a", receiver.origin))
        async with Daemon(workspace.config) as daemon:
            await _write(workspace, *names)
            await wait_until(workspace.caught_up, "all to expire")
            assert await daemon.stop() == 0
    assert await _reasons(workspace) == dict.fromkeys(ids_of("a", names), "expired")
    for dead_letter in await workspace.dead_letters():
        facts = dead_letter.facts
        assert dead_letter.timestamp / 1000 >= float(facts["hookstream-first-failed-at"]) + 3
        assert (
            int(facts["hookstream-attempts"]) == conduct.attempts[facts["hookstream-delivery-id"]]
        )
        assert facts["hookstream-last-status"] == "503"


async def test_attempts_end(workspace: Workspace) -> None:
    """A delivery is a dead letter `exhausted` after exactly `retry.max_attempts` attempts.

    1. A receiver never takes anything; a pass has three attempts, there are seven in all. 2. The
    delivery is a dead letter as `exhausted` after exactly as many, two retry topics later.
    """
    conduct = ReceiverHarness(lambda _arrival: response(500))
    await workspace.create_topics()
    workspace.write_settings(delivery={"quick_attempts": 3}, retry={"max_attempts": 7})
    async with Receiver(otherwise=conduct) as receiver:
        workspace.write_hooks(hook("a", receiver.origin))
        async with Daemon(workspace.config) as daemon:
            await _write(workspace, "e1")
            await wait_until(workspace.caught_up, "the end of its attempts")
            assert await daemon.stop() == 0
    assert conduct.attempts == {"e1:a": 7}
    [dead_letter] = await workspace.dead_letters()
    assert dead_letter.facts["hookstream-reason"] == "exhausted"
    assert dead_letter.facts["hookstream-attempts"] == "7"


async def test_a_hook_is_disabled_while_deliveries_are_deferred(workspace: Workspace) -> None:
    """Deferred deliveries of a hook that is disabled meanwhile are dead letters `disabled` without
    another attempt.

    1. Deliveries of two hooks are deferred after a 503. 2. One receiver answers 410 to the next
    five events; the other hook's definition is reloaded with `enabled: false`. 3. What was deferred
    is `disabled`, without another attempt; the 410 themselves are `permanent`. 4. A later event is
    `disabled` for the first, and does not match the second.
    """

    def answer(arrival: Arrival) -> Reply:
        return response(410 if arrival.delivery in ids_of("gone", fatal) else 503)

    fatal = [f"f{number}" for number in range(MAX_CONSECUTIVE_410)]
    conduct = ReceiverHarness(answer)
    await workspace.create_topics()
    workspace.delays = ("5s", "6s")
    workspace.write_settings()
    async with Receiver(otherwise=conduct) as receiver:
        gone, off = hook("gone", receiver.origin), hook("off", receiver.origin)
        workspace.write_hooks(gone, off)
        async with Daemon(workspace.config) as daemon:
            await _write(workspace, "e1")
            await _deferred(workspace, {"e1:gone", "e1:off"})
            workspace.write_hooks(gone, {**off, "enabled": False})
            daemon.signal(signal.SIGHUP)

            async def reloaded() -> bool:
                return await daemon.sample(RELOADS) == 1

            await wait_until(reloaded, "the reload")
            await _write(workspace, *fatal)
            await wait_until(lambda: conduct.reached(ids_of("gone", fatal)), "the 410")
            await _write(workspace, "e2")
            await wait_until(workspace.caught_up, "all to be settled")
            assert await daemon.stop() == 0
    assert await _reasons(workspace) == {
        "e1:gone": "disabled",
        "e1:off": "disabled",
        **dict.fromkeys(ids_of("gone", fatal), "permanent"),
        "e2:gone": "disabled",
    }
    expected = {"e1:gone", "e1:off", *ids_of("gone", fatal)}
    assert conduct.attempts == dict.fromkeys(expected, 1)
