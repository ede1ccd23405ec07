"""A partition without a leader, in a cluster of three nodes."""

import re
from collections.abc import Callable
from http import HTTPStatus

import pytest

from support.daemon import Daemon
from support.quorum import Quorum
from support.received import ids
from support.receiver import Receiver, Reply, response
from support.waiting import wait_until
from support.workspace import Workspace, event, hook, ids_of

DELIVERY = re.compile(rb"webhook-id: (\S+)")
MINUTE = 60.0
WAITING = "hookstream_partitions_waiting"


async def _write(workspace: Workspace, names: list[str], *, partition: int) -> None:
    async with workspace.cluster.producer() as producer:
        for name in names:
            await producer.send(workspace.topic("event"), event(name), partition=partition)


async def _arrive(receiver: Receiver, names: list[str]) -> None:
    await wait_until(
        lambda: ids_of("a", names) <= ids(receiver.requests).keys(), f"{names} to be delivered"
    )


@pytest.mark.timeout(240)
async def test_a_partition_without_a_leader_holds_back_itself_only(
    quorum: Quorum, spread: Workspace
) -> None:
    """While a node with the only copy of a partition is away, every other partition is read and
    committed and the daemon is ready, before and after a rebalance; the partition goes on when
    its node is back.
    """
    topic = spread.topic("event")
    spread.sources = {topic: {"topic": topic, "trigger": "event"}}
    await quorum.create(topic, [1, 2, 3])
    async with Receiver() as receiver:
        spread.write_settings()
        spread.write_hooks(hook("a", receiver.origin))
        async with Daemon(spread.config) as daemon:
            for partition in (0, 2):
                await _write(spread, [f"first{partition}"], partition=partition)
            await _arrive(receiver, ["first0", "first2"])
            await quorum.kill(2)
            spread.cluster.bootstrap = quorum.alive
            for partition in (0, 2):
                await _write(spread, [f"away{partition}"], partition=partition)
            await _arrive(receiver, ["away0", "away2"])
            async with Daemon(spread.config) as second:
                await wait_until(lambda: second.said("partitions assigned"), "the second's share")
                for partition in (0, 2):
                    await _write(spread, [f"both{partition}"], partition=partition)
                await _arrive(receiver, ["both0", "both2"])
                assert await second.stop() == 0
            for partition in (0, 2):
                await _write(spread, [f"alone{partition}"], partition=partition)
            await _arrive(receiver, ["alone0", "alone2"])
            status, answer = await daemon.get("/readyz")
            assert status == HTTPStatus.OK, answer
            assert await daemon.sample(WAITING) > 0
            await wait_until(lambda: _settled(spread, topic, {0: 4, 2: 4}), "their commits")
            await quorum.revive()
            await _write(spread, ["back1"], partition=1)
            await _arrive(receiver, ["back1"])
            await wait_until(lambda: _settled(spread, topic, {0: 4, 1: 1, 2: 4}), "all commits")

            async def none_waits() -> bool:
                return await daemon.sample(WAITING) == 0

            await wait_until(none_waits, "no partition to wait")
            assert await daemon.stop() == 0


async def _settled(workspace: Workspace, topic: str, offsets: dict[int, int]) -> bool:
    committed = await workspace.cluster.committed(workspace.group)
    return all(committed.get((topic, number)) == offset for number, offset in offsets.items())


@pytest.mark.timeout(240)
async def test_a_start_while_a_partition_has_no_leader_begins_with_the_others(
    quorum: Quorum, spread: Workspace
) -> None:
    """A daemon that starts while a partition has no leader is ready and reads the others, and with
    `start: latest` it loses nothing of that partition that was written after its start.
    """
    topic = spread.topic("event")
    spread.sources = {topic: {"topic": topic, "trigger": "event", "start": "latest"}}
    await quorum.create(topic, [1, 2, 3])
    await _write(spread, ["old"], partition=1)
    await quorum.kill(2)
    spread.cluster.bootstrap = quorum.alive
    async with Receiver() as receiver:
        spread.write_settings()
        spread.write_hooks(hook("a", receiver.origin))
        async with Daemon(spread.config) as daemon:
            await wait_until(lambda: _settled(spread, topic, {0: 0, 2: 0}), "the beginning")
            await _write(spread, ["away"], partition=0)
            await _arrive(receiver, ["away"])
            await quorum.revive()
            await _write(spread, ["back"], partition=1)
            await _arrive(receiver, ["back"])
            assert ids_of("a", ["old"]).isdisjoint(ids(receiver.requests))
            assert await daemon.stop() == 0


def _fails_at_first() -> Callable[[bytes], Reply]:
    """Every delivery's first attempt is answered by 503."""
    seen: set[bytes] = set()

    def answer(head: bytes) -> Reply:
        found = DELIVERY.search(head)
        assert found is not None
        first = found[1] not in seen
        seen.add(found[1])
        return response(HTTPStatus.SERVICE_UNAVAILABLE if first else HTTPStatus.OK)

    return answer


@pytest.mark.timeout(240)
async def test_a_node_that_freezes_holds_up_nothing_for_long(
    quorum: Quorum, spread: Workspace
) -> None:
    """When the node that coordinates the group and leads a part of every topic freezes, so that it
    accepts connections and answers nothing, its successors are found: events of all partitions and
    deferred deliveries flow within a minute, and go on when the node does.
    """
    topic = spread.topic("event")
    spread.sources = {topic: {"topic": topic, "trigger": "event"}}
    await quorum.create_copied(topic, partitions=3)
    async with Receiver(otherwise=_fails_at_first()) as receiver:
        spread.write_settings()
        spread.write_hooks(hook("a", receiver.origin))
        async with Daemon(spread.config) as daemon:
            await _write(spread, ["before"], partition=0)
            await _settles(spread, receiver, ["before"])
            async with spread.cluster.admin() as admin:
                coordinator = await admin.find_coordinator(spread.group)
            with quorum.frozen(coordinator):
                spread.cluster.bootstrap = quorum.alive
                names = [f"frozen{partition}" for partition in range(3)]
                for partition, name in enumerate(names):
                    await _write(spread, [name], partition=partition)
                await _settles(spread, receiver, names)
                await wait_until(daemon.ready, "the daemon to be ready")
            await _write(spread, ["after"], partition=1)
            await _settles(spread, receiver, ["after"])
            assert await daemon.stop() == 0


async def _settles(workspace: Workspace, receiver: Receiver, names: list[str]) -> None:
    """Each is delivered at its second attempt, and committed."""
    await wait_until(
        lambda: all(ids(receiver.requests).get(one, 0) >= 2 for one in ids_of("a", names)),
        f"{names} to be delivered",
        patience=MINUTE,
    )
    await wait_until(workspace.caught_up, f"{names} to be committed", patience=MINUTE)
