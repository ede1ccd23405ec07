"""Own topics of which one partition has no leader, in a cluster of three nodes."""

import json
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

NAMES = [f"e{number}" for number in range(12)]
"""Each event has its name as its key, so that every partition is some key's."""
DELIVERY = re.compile(rb"webhook-id: (\S+)")
MINUTE = 60.0


def _refusing() -> Callable[[bytes], Reply]:
    """Refuses the first attempt of each delivery; those of the hook `bad` for good."""
    seen: set[bytes] = set()

    def answer(head: bytes) -> Reply:
        found = DELIVERY.search(head)
        assert found is not None
        first = found[1] not in seen
        seen.add(found[1])
        if b"/h/bad" in head:
            return response(HTTPStatus.NOT_FOUND)
        return response(HTTPStatus.SERVICE_UNAVAILABLE if first else HTTPStatus.OK)

    return answer


@pytest.mark.timeout(240)
async def test_a_partition_of_an_own_topic_without_a_leader_holds_back_no_delivery(
    quorum: Quorum, spread: Workspace
) -> None:
    """While one partition of every retry topic and of the dead-letter topic has no leader,
    deliveries of every key that fail are deferred and come back, others become dead letters, and
    their events are settled.
    """
    topic = spread.topic("event")
    spread.sources = {topic: {"topic": topic, "trigger": "event"}}
    await quorum.create(topic, [1])
    for own in (*spread.retry_topics, spread.dead_letter_topic):
        await quorum.create(own, [1, 2, 3], {"retention.ms": "-1"})
    async with Receiver(otherwise=_refusing()) as receiver:
        spread.write_settings()
        spread.write_hooks(hook("a", receiver.origin), hook("bad", receiver.origin))
        async with Daemon(spread.config) as daemon:
            await quorum.kill(2)
            spread.cluster.bootstrap = quorum.alive
            async with spread.cluster.producer() as producer:
                for name in NAMES:
                    await producer.send(topic, event(name), key=name.encode())
            await wait_until(
                lambda: all(ids(receiver.requests)[one] >= 2 for one in ids_of("a", NAMES)),
                "all deferred deliveries to come back",
                patience=MINUTE,
            )

            async def settled() -> bool:
                committed = await spread.cluster.committed(spread.group)
                return committed.get((topic, 0)) == len(NAMES)

            await wait_until(settled, "the events to be settled", patience=MINUTE)
            await quorum.revive()
            assert await daemon.stop() == 0
    assert len(await spread.dead_letters()) == len(NAMES)


@pytest.mark.timeout(240)
async def test_a_line_whose_partition_has_no_leader_holds_back_itself_only(
    quorum: Quorum, spread: Workspace
) -> None:
    """While the overflow partition has no leader to which the failing deliveries of a hook with
    `order` belong, the daemon is ready and other partitions are delivered and committed; once it
    has one again, these deliveries are made.
    """
    topic = spread.topic("event")
    spread.sources = {topic: {"topic": topic, "trigger": "event"}}
    await quorum.create(topic, [1, 1])
    await quorum.create(spread.overflow_topic, [1, 2], {"retention.ms": "-1"})
    async with Receiver(otherwise=_refusing()) as receiver:
        spread.write_settings()
        spread.write_hooks(hook("a", receiver.origin, order="user"))
        async with Daemon(spread.config) as daemon:
            await quorum.kill(2)
            spread.cluster.bootstrap = quorum.alive

            async def written(*names: str, partition: int) -> None:
                values = [_of_user(name) for name in names]
                await spread.cluster.produce(topic, values, partition=partition)

            await written("held", partition=1)
            await wait_until(lambda: ids(receiver.requests)["held:a"] == 1, "the first attempt")
            for name in NAMES:  # longer than one send may take, with what is behind it
                await written(name, partition=0)
                await wait_until(
                    lambda: ids(receiver.requests)[f"{name}:a"] == 2,  # noqa: B023  # at once
                    f"{name} to be delivered",
                    patience=MINUTE,
                )
            assert await daemon.ready()
            assert not daemon.said("publishing fails; intake pauses")
            await quorum.revive()
            await wait_until(
                lambda: ids(receiver.requests)["held:a"] == 2, "the held one", patience=MINUTE
            )
            assert await daemon.stop() == 0


def _of_user(name: str) -> bytes:
    document = {"id": name, "user": {"id": name}, "data": {"event_key": "k"}}
    return json.dumps(document).encode()
