"""SIGTERM to the process, under load: nothing is lost, and a second one does not wait."""

import asyncio
import signal
from contextlib import suppress

import pytest

from consumer import shutdown
from consumer.workload import Workload
from support.cluster import Placed
from support.daemon import Daemon, InProcess
from support.received import ids
from support.receiver import Receiver, Reply, Then, response
from support.waiting import wait_until
from support.workspace import Workspace, event, hook, ids_of

BATCHES, BATCH = 30, 100


async def _produce(workspace: Workspace) -> list[Placed]:
    """Batch by batch, each acknowledged before the next; one record in fifty is `slow`."""
    records = []
    for batch in range(BATCHES):
        names = [f"{'slow' if n % 50 == 0 else 'e'}{batch}-{n}" for n in range(BATCH)]
        records += await workspace.cluster.produce(workspace.topic("event"), map(event, names))
    return records


def _event_id(record: Placed) -> str:
    assert record.value is not None
    return record.value.decode().split('"')[3]


def _hangs(head: bytes) -> bool:
    return b"webhook-id: slow" in head


async def test_a_helper_that_forgets_its_cancellation_does_not_hold_up_a_stop(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stop ends what goes on beside the deliveries, even if it forgets a cancellation, as
    `asyncio.wait_for` of Python 3.11 may.
    """

    async def forgets(_: Workload) -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    monkeypatch.setattr(Workload, "run", forgets)
    monkeypatch.setattr(shutdown, "AGAIN_SECONDS", 0.1)
    await workspace.create_topics()
    workspace.write_settings()
    workspace.write_hooks(hook("a", "http://127.0.0.1:9"))
    async with InProcess(workspace.config):
        pass


async def test_sigterm_under_load_loses_nothing(workspace: Workspace) -> None:
    """SIGTERM under load ends within the grace with code 0, and the next run delivers what is left.

    1. Events are written all the time; some requests hang. 2. SIGTERM. 3. Intake stops, what hangs
    is deferred within the grace, offsets are committed, the group is left, exit code 0. 4. Whatever
    lies below a committed offset was delivered or is deferred. 5. The next run delivers the rest,
    and nothing but what hung twice.
    """
    stuck = True

    def answer(head: bytes) -> Reply:
        return Reply(then=Then.HANG) if stuck and _hangs(head) else response()

    await workspace.create_topics()
    async with Receiver(otherwise=answer) as receiver:
        workspace.write_settings(delivery={"shutdown_grace": "2s", "quick_attempts": 1})
        workspace.write_hooks(hook("a", receiver.origin))
        async with Daemon(workspace.config) as daemon:
            producing = asyncio.create_task(_produce(workspace))
            await wait_until(lambda: len(receiver.requests) >= 300, "requests under way")
            assert await daemon.stop() == 0
        assert daemon.complaints == []
        assert await _members(workspace) == 0
        records = await producing
        await _check_first_run(workspace, daemon, records, receiver)
        stuck = False
        async with Daemon(workspace.config):
            await wait_until(workspace.caught_up, "the rest to be settled")
        attempts = ids(receiver.requests)
        assert set(attempts) == ids_of("a", map(_event_id, records))
        assert all(name.startswith("slow") for name, times in attempts.items() if times > 1)
    assert await workspace.dead_letters() == []


async def _members(workspace: Workspace) -> int:
    async with workspace.cluster.admin() as admin:
        [response] = await admin.describe_consumer_groups([workspace.group])
        [(_error, _group, _state, _type, _protocol, members, *_)] = response.groups
    return len(members)


async def _check_first_run(
    workspace: Workspace, daemon: Daemon, records: list[Placed], receiver: Receiver
) -> None:
    """The log tells the order, and the committed offsets pass nothing unsettled."""
    stopping, stopped = daemon.events.index("stopping"), daemon.events.index("stopped")
    assert stopping < stopped
    assert daemon.said("stopped")[0]["left_to_the_next_run"] == 0
    committed = await workspace.cluster.committed(workspace.group)
    settled = [r for r in records if r.offset < committed.get((r.topic, r.partition), 0)]
    assert 300 <= len(settled) < len(records)
    deferred = {
        dead_letter.facts["hookstream-delivery-id"]
        for topic in (*workspace.retry_topics, workspace.overflow_topic)
        for dead_letter in await workspace.cluster.read(topic)
    }
    answered = {one for one in ids(receiver.requests) if not one.startswith("slow")}
    assert ids_of("a", map(_event_id, settled)) == answered | deferred


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
async def test_a_second_signal_exits_at_once(
    workspace: Workspace, number: signal.Signals, code: int
) -> None:
    """A second signal ends the process at once with the shell's exit code, and loses nothing.

    1. One of three requests hangs, and the grace is long. 2. The first signal begins the stop. 3.
    The second ends the process before that is through, with the shell's code for it. 4. The
    committed offset is that of the one that hung, so the next run begins with it.
    """
    topic, cluster = workspace.topic("event"), workspace.cluster
    await workspace.create_topics(partitions=1)
    async with Receiver(
        otherwise=lambda head: Reply(then=Then.HANG) if _hangs(head) else response()
    ) as receiver:
        workspace.write_settings(delivery={"shutdown_grace": "10m", "timeout": "5m"})
        workspace.write_hooks(hook("a", receiver.origin))
        async with Daemon(workspace.config) as daemon:
            _, stuck, _ = await cluster.produce(topic, map(event, ["e1", "slow", "e2"]))
            await receiver.until(requests=3)
            here = (topic, 0)

            async def committed() -> bool:
                return (await cluster.committed(workspace.group)).get(here) == stuck.offset

            await wait_until(committed, "a commit")
            daemon.signal(number)
            await wait_until(lambda: daemon.said("stopping"), "the stop to begin")
            daemon.signal(number)
            assert await daemon.wait() == code
        assert not daemon.said("stopped")
        assert (await cluster.committed(workspace.group))[here] == stuck.offset
