"""What the daemon tells systemd, on a real socket of its kind."""

import asyncio
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from consumer.systemd import ServiceManager
from support.fakes import FakeClock
from support.notify_socket import Systemd
from support.waiting import wait_until


@dataclass
class Probe:
    """A probe's result, which the test changes."""

    ok: bool = False
    reason: str = "not yet a member"


@pytest.fixture(params=["file", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Systemd]:
    """A systemd without a watchdog, on a socket in the file system or in the abstract namespace."""
    name = str(tmp_path / "notify")
    made = Systemd(name if request.param == "file" else f"@{name}", {})
    yield made
    made.socket.close()


@pytest.fixture
def watchdog(tmp_path: Path) -> Iterator[Systemd]:
    """A systemd that wants a beat within ten seconds."""
    made = Systemd(str(tmp_path / "notify"), {"WATCHDOG_USEC": "10000000"})
    yield made
    made.socket.close()


async def test_a_service_is_ready_once_its_probe_is(systemd: Systemd) -> None:
    """When the daemon is ready systemd hears READY=1 once, and not before, and from then on what
    /readyz says, as the service's status.
    """
    manager, ready = ServiceManager(systemd.environ, FakeClock(), poll_seconds=0.001), Probe()
    told: list[str] = []

    def heard(message: str) -> bool:
        told.extend(systemd.messages())
        return message in told

    task = asyncio.create_task(manager.run(lambda: ready, Probe))
    await wait_until(lambda: heard("STATUS=not yet a member"), "the first status")
    ready.ok, ready.reason = True, "hooks loaded, group joined"
    await wait_until(lambda: heard("READY=1\nSTATUS=hooks loaded, group joined"), "ready")
    ready.ok, ready.reason = False, "the broker does not answer"
    await wait_until(lambda: heard("STATUS=the broker does not answer"), "the trouble")
    ready.ok, ready.reason = True, "hooks loaded, group joined"
    await wait_until(lambda: heard("STATUS=hooks loaded, group joined"), "the end of it")
    manager.stopping()
    manager.stopping()
    await wait_until(lambda: any("STOPPING=1" in one for one in told + systemd.messages()), "stop")
    task.cancel()
    assert sum("READY=1" in one for one in told) == 1


def test_a_reload_is_told_from_its_beginning_to_its_end(systemd: Systemd) -> None:
    """When a reload begins systemd hears RELOADING=1 with the monotonic time, and READY=1 when it
    has ended; nothing of it before the service is ready or while it stops.
    """
    clock = FakeClock()
    manager = ServiceManager(systemd.environ, clock)
    manager.reloading()
    manager.reloaded()
    assert systemd.messages() == []
    manager._look(Probe(ok=True, reason="ready"), Probe)
    systemd.messages()
    manager.reloading()
    manager.reloaded()
    time = int(clock.monotonic() * 1_000_000)
    assert systemd.messages() == [f"RELOADING=1\nMONOTONIC_USEC={time}", "READY=1"]
    manager.stopping()
    assert systemd.messages()[0].startswith("STOPPING=1\n")
    manager.reloading()
    manager.reloaded()
    manager._look(Probe(ok=True, reason="ready"), Probe)
    assert systemd.messages() == []


def test_the_watchdog_hears_a_daemon_that_is_not_stuck(watchdog: Systemd) -> None:
    """A watchdog of systemd hears the daemon twice in its time while /healthz is passed, also while
    it is not ready or stops, and nothing while it is stuck.
    """
    clock, alive = FakeClock(), Probe(ok=True, reason="alive")
    manager = ServiceManager(watchdog.environ, clock)
    manager._look(Probe(), lambda: alive)
    assert watchdog.messages() == ["STATUS=not yet a member", "WATCHDOG=1"]
    clock.advance(4.9)
    manager._look(Probe(), lambda: alive)
    assert watchdog.messages() == []
    clock.advance(0.1)
    manager._look(Probe(), lambda: alive)
    assert watchdog.messages() == ["WATCHDOG=1"]
    alive.ok = False
    clock.advance(60.0)
    manager._look(Probe(), lambda: alive)
    assert watchdog.messages() == []


@pytest.mark.parametrize(
    "variables",
    [
        {"WATCHDOG_USEC": "10000000", "WATCHDOG_PID": "1"},
        {"WATCHDOG_USEC": "soon"},
        {},
    ],
)
def test_another_process_s_watchdog_hears_nothing(
    tmp_path: Path, variables: Mapping[str, str]
) -> None:
    """Without a watchdog for this very process no beat is sent."""
    assert os.getpid() != 1
    systemd = Systemd(str(tmp_path / "notify"), variables)
    manager = ServiceManager(systemd.environ, FakeClock())
    manager._look(Probe(ok=True, reason="ready"), lambda: Probe(ok=True))
    assert systemd.messages() == ["READY=1\nSTATUS=ready"]
    systemd.socket.close()


def test_a_full_socket_is_not_waited_for(watchdog: Systemd) -> None:
    """While systemd does not read, the daemon does not wait for it: a message is kept until it can
    be sent, and the watchdog's beats are left out meanwhile.
    """
    clock = FakeClock()
    manager = ServiceManager(watchdog.environ, clock)
    for number in range(2_000):
        manager._look(Probe(reason=str(number)), lambda: Probe(ok=True))
    manager._look(Probe(ok=True, reason="ready"), lambda: Probe(ok=True))
    waiting = len(manager._pending)
    assert waiting > 0
    clock.advance(60.0)
    manager._look(Probe(ok=True, reason="ready"), lambda: Probe(ok=True))
    assert len(manager._pending) == waiting
    told = watchdog.messages()
    while manager._pending:
        manager._flush()
        told += watchdog.messages()
    assert told[-1] == "READY=1\nSTATUS=ready"
    assert told.count("WATCHDOG=1") == 1


@pytest.mark.parametrize("name", ["", "relative", "/nowhere/notify", "vsock:2:9"])
async def test_without_systemd_nothing_is_sent(name: str) -> None:
    """Without systemd, or with an address where nothing listens, the daemon goes on unchanged."""
    manager = ServiceManager({"NOTIFY_SOCKET": name} if name else {}, FakeClock(), 0.001)
    manager._look(Probe(ok=True, reason="ready"), Probe)
    manager.reloading()
    manager.stopping()
    assert not manager._pending
    if not name.startswith("/"):
        await asyncio.wait_for(manager.run(Probe, Probe), 5)
