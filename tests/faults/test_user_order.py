"""`order: user` while receivers fail and replicas come, go and die."""

from contextlib import AsyncExitStack
from http import HTTPStatus

from support.daemon import Daemon
from support.group import evict
from support.ledger_harness import LedgerHarness
from support.receiver import Receiver, Reply, response
from support.receiver_harness import Arrival, ReceiverHarness
from support.waiting import wait_until
from support.workspace import Workspace, event, hook, ids_of

BAD = "bad"
"""The user whose deliveries fail."""
GIVEN_UP = "bad2:a"


class _Receiver(ReceiverHarness):
    """Fails for one user until it is well, then rejects one delivery of that user's."""

    def __init__(self) -> None:
        super().__init__(self._reply)
        self.is_well = False

    def _reply(self, arrival: Arrival) -> Reply:
        if arrival.delivery == GIVEN_UP:
            return response(HTTPStatus.BAD_REQUEST)
        is_bad = arrival.delivery.startswith(BAD) and not self.is_well
        return response(HTTPStatus.SERVICE_UNAVAILABLE if is_bad else HTTPStatus.OK)

    def of_bad(self) -> list[str]:
        """The bad user's deliveries, in the order of their last requests."""
        found: dict[str, None] = {}
        for arrival in self.arrivals:
            if arrival.delivery.startswith(BAD):
                found.pop(arrival.delivery, None)
                found[arrival.delivery] = None
        return list(found)


async def _write(workspace: Workspace, first: int, number: int) -> set[str]:
    """Write events of the bad user and of others, to one partition; returns the others'
    deliveries.
    """
    names = [f"{BAD}{serial}" for serial in range(first, first + number)]
    others = [f"well{serial}" for serial in range(first * 5, (first + number) * 5)]
    values = [event(name, user=BAD) for name in names]
    values += [event(name, user=f"u{at % 7}") for at, name in enumerate(others)]
    await workspace.cluster.produce(workspace.topic("event"), values, partition=1)
    return ids_of("a", others)


async def test_one_users_failures_hold_back_that_user_alone(workspace: Workspace) -> None:
    """A user whose deliveries fail holds back no other user, and gets the next one only when the
    one before it is delivered or a dead letter, over retries, a kill and a second replica.

    1. Of many users one has a receiver that fails beyond every retry in the process: only the first
    delivery is tried, again and again, and all others arrive. 2. The daemon is killed, two others
    start, and more events come: likewise. 3. The receiver is well: the user's deliveries arrive in
    order, but for one that it rejects, which is a dead letter.
    """
    await workspace.create_topics()
    workspace.write_settings()
    conduct = _Receiver()
    async with Receiver(otherwise=conduct) as receiver, AsyncExitStack() as replicas:
        workspace.write_hooks(hook("a", receiver.origin, order="user"))
        async with Daemon(workspace.config):
            others = await _write(workspace, 0, 4)
            await wait_until(lambda: conduct.reached(others), "the others")
            await wait_until(lambda: conduct.attempts["bad0:a"] > 1, "a retry")
            assert conduct.of_bad() == ["bad0:a"]
        await evict(workspace.cluster, workspace.group)
        daemons = [await replicas.enter_async_context(Daemon(workspace.config)) for _ in range(2)]
        others = await _write(workspace, 4, 4)
        tries = conduct.attempts["bad0:a"]
        await wait_until(lambda: conduct.reached(others), "the others again")
        await wait_until(lambda: conduct.attempts["bad0:a"] > tries, "another retry")
        assert conduct.of_bad() == ["bad0:a"]
        conduct.is_well = True
        await wait_until(workspace.caught_up, "all to be settled")
        for daemon in daemons:
            assert await daemon.stop() == 0
    assert conduct.of_bad() == [f"bad{serial}:a" for serial in range(8)]
    (dead,) = await workspace.dead_letters()
    assert dead.facts["hookstream-delivery-id"] == GIVEN_UP
    for topic in workspace.retry_topics:
        assert await workspace.cluster.read(topic) == []


async def test_an_open_circuit_keeps_each_users_order(workspace: Workspace) -> None:
    """What waits for an endpoint whose circuit is open arrives in order for each user, whatever
    replica it was written by.

    1. A receiver is down until its circuit is open. 2. A second replica starts, more events come,
    and the receiver is well again. 3. Each user's first successes are in the order of the source.
    """
    is_down = [True]

    def decide(_delivery: str, _attempt: int) -> int:
        return HTTPStatus.SERVICE_UNAVAILABLE if is_down[0] else HTTPStatus.OK

    await workspace.create_topics()
    workspace.write_settings()
    async with (
        LedgerHarness(workspace, ["a"], decide) as ledger,
        Receiver(otherwise=ledger) as receiver,
    ):
        workspace.write_hooks(hook("a", receiver.origin, order="user"))
        async with Daemon(workspace.config) as daemon:
            await ledger.write(300)

            async def is_open() -> bool:
                return await daemon.sample('hookstream_circuit_open{hook="a"}') == 1

            await wait_until(is_open, "the circuit to open")
            async with Daemon(workspace.config) as other:
                await ledger.write(300)
                is_down[0] = False
                await wait_until(workspace.caught_up, "all to be settled", patience=60)
                assert await other.stop() == 0
            assert await daemon.stop() == 0
        await ledger.check()
