"""The broker dies, is away, comes back: nothing is lost, and probes tell the truth."""

import asyncio
import time
from http import HTTPStatus

import pytest

from support.broker import KafkaServer
from support.commits_harness import CommitsHarness
from support.daemon import Daemon
from support.ledger_harness import LedgerHarness
from support.receiver import Receiver
from support.waiting import wait_until
from support.workspace import Workspace, hook

AWAY = 60.0
"""Seconds: more than the group's session time-out (10 s) and the time limit of a send (20 s)."""
GRACE = 8.0


def _fails_at_first(delivery: str, attempt: int) -> int:
    """Every fourth delivery goes over a retry topic."""
    number = int(delivery[1:].partition(":")[0])
    return HTTPStatus.SERVICE_UNAVAILABLE if number % 4 == 0 and attempt == 1 else HTTPStatus.OK


async def _settled(workspace: Workspace, daemon: Daemon) -> None:
    await wait_until(workspace.caught_up, "all to be settled", patience=90)
    await wait_until(lambda: _at_rest(daemon), "lag and in flight to be zero")


async def _at_rest(daemon: Daemon) -> bool:
    samples = await daemon.samples()
    behind = [v for name, v in samples.items() if name.startswith("hookstream_consumer_lag")]
    return bool(behind) and not any(behind) and samples["hookstream_in_flight"] == 0


async def test_a_broker_that_is_killed_and_comes_back(
    server: KafkaServer, mortal: Workspace
) -> None:
    """A broker that is killed and restarted under load costs no delivery, and no commit passes an
    unsettled event.

    1. Under load the broker is killed and started again at once, twice. 2. All deliveries arrive;
    the commits passed nothing unsettled; only what was not committed came twice.
    """
    await mortal.create_topics()
    async with (
        LedgerHarness(mortal, ["a"], _fails_at_first) as ledger,
        Receiver(otherwise=ledger) as receiver,
    ):
        mortal.write_settings()
        mortal.write_hooks(hook("a", receiver.origin, order="user"))
        may_repeat: set[str] = set()
        async with Daemon(mortal.config) as daemon, CommitsHarness(ledger) as watch:
            async with ledger.load(batch=20, ahead=200):
                for _ in range(2):
                    enough = len(ledger.answered) + 200
                    await wait_until(
                        lambda: len(ledger.answered) >= enough,  # noqa: B023  # it is called here
                        "deliveries",
                        patience=90,
                    )
                    await asyncio.to_thread(server.kill)
                    committed = watch.committed
                    await asyncio.to_thread(server.restart)
                    may_repeat |= await ledger.not_committed(committed)
            await _settled(mortal, daemon)
            assert await daemon.stop() == 0
        await ledger.check()
    assert ledger.repeated <= may_repeat


@pytest.mark.timeout(300)
async def test_a_broker_that_is_away_for_a_minute(server: KafkaServer, mortal: Workspace) -> None:
    """While the broker is away the daemon is not ready but alive, and it settles everything when
    the broker is back.

    1. Events wait, some of their deliveries to be deferred, when the broker goes. 2. For a minute
    the daemon is not ready and says why, but alive: a restart would cure nothing. It takes no more
    memory. 3. The broker is back: the daemon is ready by itself, and all is settled.
    """
    await mortal.create_topics()
    async with (
        LedgerHarness(mortal, ["a"], _fails_at_first) as ledger,
        Receiver(otherwise=ledger) as receiver,
    ):
        mortal.write_settings()
        mortal.write_hooks(hook("a", receiver.origin))
        async with Daemon(mortal.config) as daemon:
            async with CommitsHarness(ledger):
                await ledger.write(500)
                await wait_until(lambda: not ledger.untried, "the first ones to be tried")
                ledger.held = asyncio.Event()
                await ledger.write(2_000)
                await wait_until(lambda: len(ledger.attempts) > 510, "requests under way")
                await asyncio.to_thread(server.kill)
                gone = time.monotonic()
                ledger.held.set()
                ledger.held = None
                await wait_until(lambda: _unready(daemon), "the daemon not to be ready")
                while time.monotonic() < gone + AWAY:
                    assert not await daemon.ready()
                    status, why = await daemon.get("/healthz")
                    assert status == HTTPStatus.OK, why
                    await asyncio.sleep(1)  # the fault lasts a minute
                await asyncio.to_thread(server.restart)
                await wait_until(daemon.ready, "the daemon to be ready again", patience=90)
                await _settled(mortal, daemon)
            assert await daemon.stop() == 0
        await ledger.check()


async def _unready(daemon: Daemon) -> bool:
    status, why = await daemon.get("/readyz")
    return status == HTTPStatus.SERVICE_UNAVAILABLE and "the broker" in why


@pytest.mark.parametrize("broker", ["there", "away"])
async def test_sigterm_with_requests_under_way(
    server: KafkaServer, mortal: Workspace, broker: str
) -> None:
    """SIGTERM ends the process within its grace with code 0, with or without a broker, and the next
    run delivers what is left.

    1. Requests are under way to a receiver that does not answer. 2. SIGTERM, with the broker there
    or away. 3. The process ends within its grace with code 0. 4. The next run delivers all that was
    not.
    """
    await mortal.create_topics()
    async with LedgerHarness(mortal, ["a"]) as ledger, Receiver(otherwise=ledger) as receiver:
        mortal.write_settings(delivery={"shutdown_grace": f"{GRACE:.0f}s", "timeout": "1m"})
        mortal.write_hooks(hook("a", receiver.origin))
        ledger.held = late = asyncio.Event()
        async with Daemon(mortal.config) as daemon:
            await ledger.write(100)
            await receiver.until(requests=10)
            if broker == "away":
                await asyncio.to_thread(server.kill)
            began = time.monotonic()
            assert await daemon.stop() == 0, daemon.lines[-10:]
            took = time.monotonic() - began
        ledger.held = None
        late.set()
        if broker == "away":
            await asyncio.to_thread(server.restart)
        assert took < GRACE + 1.0
        async with Daemon(mortal.config) as daemon, CommitsHarness(ledger):
            await _settled(mortal, daemon)
            assert await daemon.stop() == 0
        await ledger.check()
