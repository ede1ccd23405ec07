"""Two installations on one cluster: neither touches what the other deferred or gave up."""

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.daemon import Daemon
from support.project import ROOT
from support.received import ids
from support.receiver import Receiver, response
from support.waiting import wait_until
from support.workspace import Workspace, event, hook


@pytest.fixture
async def neighbour(workspace: Workspace, tmp_path: Path) -> AsyncIterator[Workspace]:
    """Another installation, with sources of its own and the same topic prefix."""
    folder = tmp_path / "neighbour"
    folder.mkdir()
    neighbour = Workspace(folder, workspace.cluster, f"{workspace.prefix}-b")
    neighbour.topic_prefix = workspace.topic_prefix
    yield neighbour
    await neighbour.remove_topics()


async def _foreign(daemon: Daemon) -> float:
    """How many records were passed over."""
    return sum(
        number
        for series, number in (await daemon.samples()).items()
        if series.startswith("hookstream_foreign_records_total")
    )


async def _command(workspace: Workspace, *words: str) -> tuple[str, str]:
    """What one `hookstream dead-letters` prints on standard output and standard error."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "consumer", "dead-letters", *words),
        *("--config", str(workspace.config)),
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
        cwd=ROOT,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err
    return out.decode(), err.decode()


@pytest.mark.parametrize(
    "twin", [False, True], ids=["other hooks", "same hook ids and groups that differ by case"]
)
async def test_deferred_deliveries_are_their_own_groups(
    workspace: Workspace, neighbour: Workspace, *, twin: bool
) -> None:
    """Of two installations with the same retry topics neither sends nor dead-letters a delivery
    that the other one deferred: it is skipped and counted, and its own installation sends it.
    """
    if twin:
        neighbour.group = workspace.group.upper()
    names = [f"e{number}" for number in range(10)]
    await workspace.create_topics()
    await neighbour.create_topics()
    workspace.write_settings()
    neighbour.write_settings()
    down = True
    async with (
        Receiver(otherwise=lambda _head: response(503 if down else 200)) as ours,
        Receiver() as theirs,
    ):
        workspace.write_hooks(hook("crm", ours.origin))
        neighbour.write_hooks(hook("crm" if twin else "shop", theirs.origin))
        async with Daemon(workspace.config) as daemon:
            await workspace.cluster.produce(workspace.topic("event"), map(event, names))
            await ours.until(requests=len(names))
            assert await daemon.stop() == 0
        written = len(await workspace.cluster.read(workspace.retry_topics[0]))
        async with Daemon(neighbour.config) as daemon:
            await wait_until(neighbour.caught_up, "the neighbour to have read everything")
            assert await _foreign(daemon) >= written
            [line] = daemon.said(
                "records of another group are passed over; "
                "give each kafka.group_id a kafka.topic_prefix of its own"
            )
            assert (line["topic"], line["group"]) == (workspace.retry_topics[0], workspace.group)
            assert await daemon.stop() == 0
        assert theirs.requests == []
        assert await neighbour.dead_letters() == []
        down, before = False, len(ours.requests)
        async with Daemon(workspace.config) as daemon:
            await wait_until(workspace.caught_up, "everything to be sent")
            assert await _foreign(daemon) == 0
        assert ids(ours.requests[before:]) == {f"{name}:crm": 1 for name in names}
    assert await workspace.dead_letters() == []


async def test_dead_letters_are_their_own_groups(
    workspace: Workspace, neighbour: Workspace
) -> None:
    """Of two installations with the same dead-letter topic neither lists nor replays a dead letter
    of the other one, and the commands say how many are left out.
    """
    await workspace.create_topics()
    await neighbour.create_topics()
    workspace.write_settings()
    neighbour.write_settings()
    async with Receiver(otherwise=lambda _head: response(404)) as receiver:
        workspace.write_hooks(hook("crm", receiver.origin))
        neighbour.write_hooks(hook("crm", receiver.origin))
        async with Daemon(workspace.config), Daemon(neighbour.config):
            await workspace.cluster.produce(workspace.topic("event"), [event("ours")])
            await neighbour.cluster.produce(neighbour.topic("event"), [event("theirs")])
            await wait_until(workspace.caught_up, "our dead letter")
            await wait_until(neighbour.caught_up, "their dead letter")
        for installation, own, other in (
            (workspace, "ours", neighbour),
            (neighbour, "theirs", workspace),
        ):
            out, err = await _command(installation, "list")
            assert [f'"{own}:crm"' in line for line in out.splitlines()] == [True]
            assert f"1 of the group {other.group} left out" in err
            out, err = await _command(installation, "replay", "--yes")
            assert out.splitlines()[-1] == "1 sent"
            assert f"1 of the group {other.group} left out" in err
    sent = await workspace.cluster.read(workspace.retry_topics[0])
    assert {record.facts["hookstream-delivery-id"] for record in sent} == {"ours:crm", "theirs:crm"}
    assert {record.facts["hookstream-group"] for record in sent} == {
        workspace.group,
        neighbour.group,
    }


async def test_a_replay_to_a_shared_source_is_its_own_groups(
    workspace: Workspace, neighbour: Workspace
) -> None:
    """An undecodable record that one installation replays to a source topic is passed over by the
    other one that reads the same topic, which has settled the record long ago.
    """
    topic = workspace.topic("event")
    workspace.sources = neighbour.sources = {topic: workspace.sources[topic]}
    neighbour.topic_prefix = neighbour.prefix
    await workspace.create_topics()
    workspace.write_settings()
    neighbour.write_settings()
    for installation in (workspace, neighbour):
        installation.write_hooks(hook("crm", "http://127.0.0.1:9"))
    async with Daemon(workspace.config), Daemon(neighbour.config) as daemon:
        await workspace.cluster.produce(topic, [b"not JSON"])
        await wait_until(workspace.caught_up, "our dead letter")
        await wait_until(neighbour.caught_up, "their dead letter")
        out, _ = await _command(workspace, "replay", "--yes")
        assert out.splitlines()[-1] == "1 sent"

        async def seen_again() -> bool:
            return await _foreign(daemon) == 1 and len(await workspace.dead_letters()) == 2

        await wait_until(seen_again, "both to have read the replay")
    assert len(await neighbour.dead_letters()) == 1
