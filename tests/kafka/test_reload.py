"""SIGHUP to the process: definitions are exchanged all or nothing, and nothing is lost."""

import asyncio
import signal
from pathlib import Path

from support.daemon import Daemon
from support.notify_socket import Systemd
from support.received import ids, parse
from support.receiver import Receiver
from support.waiting import wait_until
from support.workspace import Workspace, event, hook, ids_of

OK = 'hookstream_reloads_total{result="ok"}'
FAILED = 'hookstream_reloads_total{result="failed"}'
LAST = "hookstream_last_reload_successful"


async def _reload(daemon: Daemon, series: str) -> None:
    """Send SIGHUP and wait until the reload is counted under `series`."""
    before = await daemon.sample(series)
    daemon.signal(signal.SIGHUP)

    async def counted() -> bool:
        return await daemon.sample(series) == before + 1

    await wait_until(counted, f"{series} to rise")


async def _targets(workspace: Workspace, receiver: Receiver, event_id: str) -> set[str]:
    """Write one event, wait until it is settled, and say where it went."""
    before = len(receiver.requests)
    await workspace.cluster.produce(workspace.topic("event"), [event(event_id)])
    await wait_until(workspace.caught_up, f"{event_id} to be settled")
    return {parse(head).target for head in receiver.requests[before:]}


async def test_hooks_change_with_sighup(workspace: Workspace) -> None:
    """SIGHUP puts a changed table in force as a whole or refuses it as a whole.

    1. Two hooks. 2. One is changed, one removed, one added, and SIGHUP sent: the next event goes by
    the new table. 3. A broken file is refused as a whole, though it also removes a hook; the old
    table stays, and the metrics show it. 4. Corrected, it takes effect.
    """
    await workspace.create_topics()
    workspace.write_settings()
    async with Receiver() as receiver:
        origin = receiver.origin
        workspace.write_hooks(hook("a", origin), hook("b", origin))
        async with Daemon(workspace.config) as daemon:
            assert await _targets(workspace, receiver, "e1") == {"/h/a", "/h/b"}
            workspace.write_hooks(hook("a", origin, "?v=2"), hook("c", origin))
            await _reload(daemon, OK)
            assert await daemon.sample("hookstream_hooks") == 2
            assert await _targets(workspace, receiver, "e2") == {"/h/a?v=2", "/h/c"}

            workspace.write_hooks(hook("a", origin, "?v=3"), hook("Bad Id", origin))
            await _reload(daemon, FAILED)
            assert await daemon.sample(LAST) == 0
            assert await daemon.sample("hookstream_hooks") == 2
            [refused] = daemon.said("reload refused; the old settings and hooks stay")
            assert "hooks.yaml:" in str(refused["problems"])
            assert await _targets(workspace, receiver, "e3") == {"/h/a?v=2", "/h/c"}

            workspace.write_hooks(hook("a", origin, "?v=3"))
            await _reload(daemon, OK)
            assert await daemon.sample(LAST) == 1
            assert await _targets(workspace, receiver, "e4") == {"/h/a?v=3"}
            assert await daemon.stop() == 0


async def test_settings_that_need_a_restart_refuse_the_reload(workspace: Workspace) -> None:
    """A changed section that cannot change in a running daemon refuses the reload as a whole."""
    await workspace.create_topics()
    workspace.write_settings()
    async with Receiver() as receiver:
        workspace.write_hooks(hook("a", receiver.origin))
        async with Daemon(workspace.config) as daemon:
            workspace.write_settings(retry={"delays": ["5s"]})
            workspace.write_hooks(hook("b", receiver.origin))
            await _reload(daemon, FAILED)
            assert await _targets(workspace, receiver, "e1") == {"/h/a"}


async def test_network_policy_changes_with_sighup(workspace: Workspace) -> None:
    """SIGHUP puts a changed network policy in force, for connections that are open too.

    1. An event is delivered, and its connection kept. 2. `network.deny` names the receiver: the
    connection closes, and the next event is a dead letter at once, with the reason; a log line
    names the hook. 3. Opened again, events arrive.
    """
    await workspace.create_topics()
    workspace.write_settings()
    async with Receiver() as receiver:
        workspace.write_hooks(hook("a", receiver.origin))
        async with Daemon(workspace.config) as daemon:
            assert await _targets(workspace, receiver, "e1") == {"/h/a"}
            workspace.write_settings(network={"deny": ["127.0.0.1/32"]})
            await _reload(daemon, OK)
            await receiver.until(left=1)
            assert await _targets(workspace, receiver, "e2") == set()
            (dead_letter,) = await workspace.dead_letters()
            assert dead_letter.facts["hookstream-reason"] == "blocked"
            assert dead_letter.facts["hookstream-attempts"] == "1"
            assert (
                dead_letter.facts["hookstream-detail"]
                == "127.0.0.1 is in network.deny: 127.0.0.1/32"
            )
            assert await daemon.sample('hookstream_attempts_total{hook="a",status="blocked"}') == 1
            [foreseen] = daemon.said("every request of a hook will be blocked")
            assert "hook a: uri: " in str(foreseen["problem"])

            workspace.write_settings()
            await _reload(daemon, OK)
            assert await _targets(workspace, receiver, "e3") == {"/h/a"}
            assert await daemon.stop() == 0


async def test_own_admin_server_is_out_of_reach(workspace: Workspace) -> None:
    """A delivery cannot reach the daemon's own admin server, even inside an allowed network and on
    a port that the system picked.
    """
    await workspace.create_topics()
    workspace.write_settings()
    async with Receiver() as receiver:
        workspace.write_hooks(hook("a", receiver.origin))
        async with Daemon(workspace.config) as daemon:
            workspace.write_hooks(hook("a", f"http://127.0.0.1:{daemon.admin_port}"))
            await _reload(daemon, OK)
            assert await _targets(workspace, receiver, "e1") == set()
            (dead_letter,) = await workspace.dead_letters()
            assert dead_letter.facts["hookstream-reason"] == "blocked"
            assert dead_letter.facts["hookstream-detail"].endswith(
                "is hookstream's own admin server"
            )
            assert await daemon.stop() == 0


async def test_sighup_again_and_again_under_load_loses_nothing(workspace: Workspace) -> None:
    """While events are written, a hook changes twenty times: each event reaches both hooks once,
    in one version or the other.
    """
    names = [f"e{number}" for number in range(2_000)]
    await workspace.create_topics()
    workspace.write_settings()
    async with Receiver() as receiver:
        origin = receiver.origin
        workspace.write_hooks(hook("a", origin, "?v=0"), hook("b", origin))
        async with Daemon(workspace.config) as daemon:

            async def produce() -> None:
                for start in range(0, len(names), 50):
                    batch = map(event, names[start : start + 50])
                    await workspace.cluster.produce(workspace.topic("event"), batch)

            producing = asyncio.create_task(produce())
            for version in range(1, 21):
                workspace.write_hooks(hook("a", origin, f"?v={version}"), hook("b", origin))
                await _reload(daemon, OK)
            await producing
            await wait_until(workspace.caught_up, "every event to be settled")
            assert await daemon.stop() == 0
        assert daemon.complaints == []
        attempts = ids(receiver.requests)
        assert set(attempts) == ids_of("a", names) | ids_of("b", names)
        assert set(attempts.values()) == {1}
        versions = {parse(head).target for head in receiver.requests}
        assert len(versions) > 3, "the table changed while events were under way"


async def test_systemd_hears_of_the_daemons_life(workspace: Workspace, tmp_path: Path) -> None:
    """A daemon that systemd has started tells it when events are taken, when a reload begins and
    ends, refused or not, and when it stops.
    """
    systemd = Systemd(str(tmp_path / "notify"), {})
    told: list[str] = []

    def heard(*first_words: str) -> bool:
        told.extend(message.partition("=")[0] for message in systemd.messages())
        return [word for word in told if word != "STATUS"] == [*first_words]

    await workspace.create_topics()
    workspace.write_settings()
    workspace.write_hooks(hook("a", "http://127.0.0.1:9"))
    async with Daemon(workspace.config, systemd.environ) as daemon:
        await wait_until(lambda: heard("READY"), "the daemon to say that it is ready")
        assert await daemon.ready()
        workspace.write_hooks(hook("Bad Id", "http://127.0.0.1:9"))
        await _reload(daemon, FAILED)
        life = ["READY", "RELOADING", "READY"]
        await wait_until(lambda: heard(*life), "the reload to end")
        daemon.signal(signal.SIGTERM)
        await wait_until(lambda: heard(*life, "STOPPING"), "the stop")
        assert await asyncio.wait_for(daemon.wait(), 30) == 0
    systemd.socket.close()
