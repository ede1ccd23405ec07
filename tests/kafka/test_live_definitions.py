"""Live definitions in the whole daemon: in force without a reload, at each replica."""

import asyncio
import signal
from statistics import median
from typing import Any

import orjson
import pytest

from consumer.control.status import ReplicaStatus, read_status
from support.daemon import Daemon
from support.live_hooks import LIVE, OFFSET, PROBLEMS, LiveHooks, in_force
from support.received import parse
from support.receiver import Receiver, Reply, response
from support.receiver_harness import Arrival, ReceiverHarness
from support.waiting import wait_until
from support.workspace import Workspace, event, hook, ids_of

FILTERED = 'hookstream_events_filtered_total{hook="a"}'
REFUSED = "a live definition is refused"


@pytest.fixture
async def live(workspace: Workspace) -> LiveHooks:
    """The definitions' topic of a workspace without definitions in files."""
    await workspace.create_topics()
    workspace.write_settings(hooks=LIVE)
    return LiveHooks(workspace)


async def targets(workspace: Workspace, receiver: Receiver, event_id: str) -> set[str]:
    """Write one event, wait until it is settled, and say where it went."""
    before = len(receiver.requests)
    await workspace.cluster.produce(workspace.topic("event"), [event(event_id)])
    await wait_until(workspace.caught_up, f"{event_id} to be settled")
    return {parse(head).target for head in receiver.requests[before:]}


async def statuses(workspace: Workspace) -> dict[bytes, ReplicaStatus | None]:
    """By replica, its newest status."""
    records = await workspace.cluster.read(workspace.live_topics[2])
    return {record.key or b"": read_status(record.key, record.value) for record in records}


async def test_a_change_is_in_force_at_each_replica_without_a_reload(
    workspace: Workspace, live: LiveHooks
) -> None:
    """A definition that is written, changed and deleted is in force at two replicas, most times
    within a second, and a third that starts later has the same.
    """
    async with (
        Receiver() as receiver,
        Daemon(workspace.config) as one,
        Daemon(workspace.config) as two,
    ):
        assert await targets(workspace, receiver, "e1") == set()
        seconds: list[float] = []
        for number in range(5):
            record = await live.put(hook("a", receiver.origin, f"?v={number}"))
            seconds += await asyncio.gather(in_force(one, record), in_force(two, record))
        assert median(seconds) < 1.0
        assert await targets(workspace, receiver, "e2") == {"/h/a?v=4"}
        async with Daemon(workspace.config) as three:
            assert await three.sample(OFFSET) == record.offset
            assert await three.sample("hookstream_hooks") == 1
        record = await live.delete("a")
        await asyncio.gather(in_force(one, record), in_force(two, record))
        assert await targets(workspace, receiver, "e3") == set()
        assert await one.sample("hookstream_hooks") == 0
        assert await one.sample('hookstream_reloads_total{result="ok"}') == 0
        assert await one.stop() == await two.stop() == 0


async def test_no_event_is_taken_before_the_definitions_are_read(
    workspace: Workspace, live: LiveHooks
) -> None:
    """Events that wait when a daemon starts are matched with all that the topic says, whatever the
    number of its records: none is settled before.
    """
    ids = [f"e{number}" for number in range(50)]
    await workspace.cluster.create(
        [live.topic], partitions=1, configs={"cleanup.policy": "compact"}
    )
    await workspace.cluster.produce(workspace.topic("event"), map(event, ids))
    async with Receiver(otherwise=ReceiverHarness()) as receiver:
        for _ in range(2):  # the older half of the topic counts no more
            await live.put_many(
                hook(f"h{number}", receiver.origin, select=["other"]) for number in range(2_000)
            )
        record = await live.put(hook("a", receiver.origin))
        async with Daemon(workspace.config) as daemon:
            assert await daemon.sample(OFFSET) == record.offset
            assert await daemon.sample("hookstream_hooks") == 2_001
            await wait_until(workspace.caught_up, "all to be settled")
            assert await daemon.stop() == 0
        assert {parse(head).webhook_id for head in receiver.requests} == ids_of("a", ids)


async def test_poisoned_records_turn_off_one_hook_each_over_a_restart(
    workspace: Workspace, live: LiveHooks
) -> None:
    """A record that is no JSON, of an unknown format, of another id, of two megabytes or that names
    a missing secret leaves its hook's last good revision in force and others alone; after a restart
    its hook is off and the others are on.
    """
    wide = {"max.message.bytes": str(8 * 1024 * 1024), "cleanup.policy": "compact"}
    await workspace.cluster.create([live.topic], partitions=1, configs=wide)
    async with Receiver() as receiver:
        origin = receiver.origin
        good = {f"/h/{name}" for name in "abcdefg"}
        for name in "abcdefg":
            await live.put(hook(name, origin))
        async with Daemon(workspace.config) as daemon:
            await live.write("b", b"not json")
            await live.write("c", b'{"format": 9, "revision": 2, "definition": {"id": "c"}}')
            await live.write("d", b'{"format": 1, "revision": 2, "definition": {"id": "a"}}')
            await live.write("e", b"[" + b"1," * 1_000_000 + b"1]")
            secret = {"key": "X-Key", "source": "fixed", "value": "${env:CANARY_ABSENT}"}
            await live.put(hook("f", origin, headers=[secret]))
            record = await live.put(hook("g", origin, "?v=2"))
            await in_force(daemon, record)
            assert await daemon.sample(PROBLEMS) == 5
            assert {str(line["hook"]) for line in daemon.said(REFUSED)} == set("bcdef")
            changed = good - {"/h/g"} | {"/h/g?v=2"}
            assert await targets(workspace, receiver, "e1") == changed
            assert await daemon.stop() == 0
        async with Daemon(workspace.config) as daemon:
            assert await daemon.sample(PROBLEMS) == 5
            assert await targets(workspace, receiver, "e2") == {"/h/a", "/h/g?v=2"}
            for name in "bcdef":
                record = await live.put(hook(name, origin))
            await in_force(daemon, record)
            assert await daemon.sample(PROBLEMS) == 0
            assert await targets(workspace, receiver, "e3") == changed
            assert await daemon.stop() == 0


async def test_a_files_definition_wins_and_a_reload_keeps_live_ones(
    workspace: Workspace, live: LiveHooks
) -> None:
    """Of two definitions with one id the file's is in force and the live one is a problem, until a
    reload without the file; other live ones stay over the reload.
    """
    workspace.write_settings(hooks={"live": True})
    async with Receiver() as receiver:
        origin = receiver.origin
        workspace.write_hooks(hook("a", origin, "?file"))
        async with Daemon(workspace.config) as daemon:
            await live.put(hook("a", origin, "?live"))
            await in_force(daemon, await live.put(hook("b", origin)))
            assert await targets(workspace, receiver, "e1") == {"/h/a?file", "/h/b"}
            assert await daemon.sample(PROBLEMS) == 1
            (workspace.hooks_folder / "hooks.yaml").unlink()
            daemon.signal(signal.SIGHUP)
            await wait_until(lambda: daemon.said("hooks and settings reloaded"), "the reload")
            assert await targets(workspace, receiver, "e2") == {"/h/a?live", "/h/b"}
            assert await daemon.sample(PROBLEMS) == 0
            assert await daemon.stop() == 0


async def test_deliveries_of_a_deleted_hook_wait_for_it(
    workspace: Workspace, live: LiveHooks
) -> None:
    """Deliveries that wait in the overflow topic when their hook is deleted are no dead letters
    within ten minutes: once the hook is defined again, all of them are sent.
    """
    ids = [f"e{number}" for number in range(40)]
    well = False

    def answer(_arrival: Arrival) -> Reply:
        return response(200) if well else response(503, "Retry-After: 60")

    async with Receiver(otherwise=ReceiverHarness(answer)) as receiver:
        async with Daemon(workspace.config) as daemon:
            await in_force(daemon, await live.put(hook("a", receiver.origin)))
            await workspace.cluster.produce(workspace.topic("event"), map(event, ids))
            overflowed = 'hookstream_deliveries_total{hook="a",outcome="overflowed"}'

            async def waiting() -> bool:
                return await daemon.sample(overflowed) >= len(ids) - 5

            await wait_until(waiting, "the deliveries to overflow")
            await in_force(daemon, await live.delete("a"))
            unknown = 'hookstream_deliveries_total{hook="",outcome="retried"}'

            async def unknown_ones() -> bool:
                return await daemon.sample(unknown) >= len(ids) - 5

            await wait_until(unknown_ones, "the deliveries to wait for their hook")
            well = True
            record = await live.put(hook("a", receiver.origin, "?again"))
            await in_force(daemon, record)
            await wait_until(workspace.caught_up, "all to be settled", patience=60)
            assert await daemon.stop() == 0
        assert await workspace.dead_letters() == []
        again = [parse(head) for head in receiver.requests]
        sent = {request.webhook_id for request in again if request.target == "/h/a?again"}
        assert sent == ids_of("a", ids)


async def test_a_replica_tells_its_status_until_it_stops(
    workspace: Workspace, live: LiveHooks
) -> None:
    """Each replica writes what it has applied and what it refuses; one that stops in order leaves
    no status.
    """
    async with Daemon(workspace.config) as one, Daemon(workspace.config) as two:
        await live.put(hook("a", "http://127.0.0.1:9"))
        record = await live.write("b", b"bad")
        await asyncio.gather(in_force(one, record), in_force(two, record))

        async def told() -> bool:
            known = [status for status in (await statuses(workspace)).values() if status]
            return sorted(status.hooks_offset for status in known) == [record.offset] * 2

        await wait_until(told, "both to tell the newest offset")
        known = await statuses(workspace)
        assert len(known) == 2
        topics = set()
        for status in filter(None, known.values()):
            assert (status.hooks, status.problem_count) == (1, 1)
            assert status.problems[0].hook == "b"
            assert status.at > status.started_at
            topics |= {(topic, n) for topic, numbers in status.partitions.items() for n in numbers}
        assert (workspace.topic("event"), 0) in topics
        assert await one.stop() == 0
        await wait_until(lambda: _left(workspace, 1), "one status to go")
        assert await two.stop() == 0
        await wait_until(lambda: _left(workspace, 0), "the other status to go")


async def _left(workspace: Workspace, number: int) -> bool:
    return len([status for status in (await statuses(workspace)).values() if status]) == number


async def test_topics_of_definitions_that_would_lose_some_are_refused(
    workspace: Workspace, live: LiveHooks
) -> None:
    """A daemon refuses to start if the definitions' topic is not compacted, or has several
    partitions, and says how to correct it.
    """
    await workspace.cluster.create([live.topic], partitions=1, configs={"cleanup.policy": "delete"})
    sentence = await Daemon(workspace.config).refuses()
    assert f"the topic {live.topic} has cleanup.policy=delete" in sentence
    assert "--add-config cleanup.policy=compact" in sentence
    await workspace.cluster.delete([live.topic])
    await workspace.cluster.create(
        [live.topic], partitions=3, configs={"cleanup.policy": "compact"}
    )
    sentence = await Daemon(workspace.config).refuses()
    assert f"the topic {live.topic} has 3 partitions, and must have 1" in sentence


async def test_conditions_decide_which_events_fire_a_live_hook(
    workspace: Workspace, live: LiveHooks
) -> None:
    """A live hook fires for the events that pass its `when`, the others are settled and counted for
    it, and a change of its conditions is in force without a reload.
    """
    topic = workspace.topic("event")

    def priced(event_id: str, price: object) -> bytes:
        return orjson.dumps({"id": event_id, "user": {"id": "u1"}, "data": {"price": price}})

    async with (
        Receiver(otherwise=ReceiverHarness()) as receiver,
        Daemon(workspace.config) as daemon,
    ):
        when: dict[str, Any] = {"user.id": "u1", "data.price": {"at_least": 1000}}
        await in_force(daemon, await live.put(hook("a", receiver.origin, when=when)))
        prices = [("e1", 999), ("e2", 1000), ("e3", "1000"), ("e4", None), ("e5", [1, 2000])]
        await workspace.cluster.produce(topic, [priced(*one) for one in prices])
        await wait_until(workspace.caught_up, "all to be settled")
        assert await daemon.sample(FILTERED) == 3
        when["data.price"] = "1000"
        await in_force(daemon, await live.put(hook("a", receiver.origin, when=when)))
        await workspace.cluster.produce(topic, [priced("e6", 1000), priced("e7", "1000")])
        await wait_until(workspace.caught_up, "all to be settled")
        assert await daemon.sample(FILTERED) == 1
        assert await daemon.stop() == 0
    assert {parse(head).webhook_id for head in receiver.requests} == ids_of("a", ["e2", "e5", "e7"])
