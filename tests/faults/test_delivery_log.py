"""The delivery log under load, while daemons are killed, the broker restarts and replicas change.

The fixtures compare the log with the receiver's requests, and the reports with a recount of it.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from http import HTTPStatus

import pytest

from support.broker import KafkaServer
from support.daemon import Daemon
from support.group import evict
from support.ledger_harness import LedgerHarness
from support.log_ledger import LogLedger
from support.receiver import Receiver
from support.waiting import wait_until
from support.workspace import Workspace, hook

KILLS = 6


def _sometimes_failing(delivery: str, attempt: int) -> int:
    number = int(delivery[1:].partition(":")[0])
    if delivery.endswith(":flaky") and number % 11 == 0:
        return HTTPStatus.BAD_REQUEST
    if delivery.endswith(":flaky") and number % 5 == 0 and attempt == 1:
        return HTTPStatus.SERVICE_UNAVAILABLE
    return HTTPStatus.OK


@asynccontextmanager
async def _ledger(workspace: Workspace) -> AsyncIterator[LedgerHarness]:
    """Topics, settings, hooks and a receiver."""
    await workspace.create_topics()
    ledger = LedgerHarness(workspace, ["steady", "flaky"], _sometimes_failing)
    async with ledger, Receiver(otherwise=ledger) as receiver:
        workspace.write_settings()
        workspace.write_hooks(hook("steady", receiver.origin), hook("flaky", receiver.origin))
        yield ledger


async def _more(ledger: LedgerHarness, requests: int) -> None:
    enough = len(ledger.times) + requests
    await wait_until(lambda: len(ledger.times) >= enough, "requests", patience=90)


async def _log_moves(workspace: Workspace) -> None:
    """Wait until something is written to the log."""
    before = await workspace.cluster.ends(workspace.log_topics)

    async def moved() -> bool:
        return await workspace.cluster.ends(workspace.log_topics) != before

    await wait_until(moved, "a write of the log")


@pytest.mark.timeout(300)
async def test_kills_lose_the_last_second_of_the_log_and_reports_stay_exact(
    workspace: Workspace, log_ledger: LogLedger
) -> None:
    """Kills with -9 under load lose only the last moment of the log before each, repeat no record,
    and the reports of all lives equal a recount of the log.
    """
    seed = random.randrange(2**32)  # noqa: S311  # no secret
    print(f"seed {seed}")  # noqa: T201  # pytest shows it when the test fails
    moments = random.Random(seed)  # noqa: S311  # no secret
    async with _ledger(workspace) as ledger:
        async with ledger.load(batch=20, ahead=200):
            for kill in range(KILLS):
                async with Daemon(workspace.config):
                    if kill % 2:
                        await _log_moves(workspace)
                    await _more(ledger, 300 + moments.randrange(900))
                await evict(workspace.cluster, workspace.group)
        async with Daemon(workspace.config) as daemon:
            await wait_until(workspace.caught_up, "all to be settled", patience=90)
            assert await daemon.sample("hookstream_delivery_log_dropped_total") == 0
            assert await daemon.stop() == 0
    log = await log_ledger.check(workspace)
    assert len({row["replica"] for row in log}) > KILLS / 2, "no life wrote enough"


@pytest.mark.timeout(300)
async def test_a_restarted_broker_costs_no_record(server: KafkaServer, mortal: Workspace) -> None:
    """While the broker is killed and restarted under load, the log loses and repeats no record, and
    the reports equal a recount.
    """
    async with _ledger(mortal) as ledger, Daemon(mortal.config) as daemon:
        async with ledger.load(batch=20, ahead=200):
            for _ in range(3):
                await _more(ledger, 400)
                await asyncio.to_thread(server.kill)
                await asyncio.to_thread(server.restart)
            await _more(ledger, 400)
        await wait_until(mortal.caught_up, "all to be settled", patience=90)
        assert await daemon.sample("hookstream_delivery_log_dropped_total") == 0
        assert await daemon.stop() == 0


@pytest.mark.timeout(300)
async def test_replicas_that_come_and_go_keep_one_log(
    workspace: Workspace, log_ledger: LogLedger
) -> None:
    """While replicas come and go under load, their log together has each request once, and their
    reports together equal a recount.
    """
    async with _ledger(workspace) as ledger, AsyncExitStack() as stack:
        first = await stack.enter_async_context(Daemon(workspace.config))
        async with ledger.load(batch=20, ahead=200):
            await _more(ledger, 400)
            second = await stack.enter_async_context(Daemon(workspace.config))
            await _more(ledger, 400)
            assert await first.stop() == 0
            await _more(ledger, 400)
            third = await stack.enter_async_context(Daemon(workspace.config))
            await _more(ledger, 400)
            assert await second.stop() == 0
        await wait_until(workspace.caught_up, "all to be settled", patience=90)
        assert await third.stop() == 0
    assert log_ledger.all_dropped == 0
