"""A broker that answers nothing and closes no connection: what it has taken cannot be known."""

import asyncio
import os
import signal
from http import HTTPStatus

import pytest
from aiokafka.errors import KafkaError

from support.broker import KafkaServer
from support.commits_harness import CommitsHarness
from support.daemon import Daemon
from support.ledger_harness import LedgerHarness
from support.receiver import Receiver
from support.waiting import wait_until
from support.workspace import Workspace, hook

FROZEN = 60.0
"""Seconds: more than publishing is waited for (20 s), and the group's session lasts (10 s)."""


def _fails_at_first(_delivery: str, attempt: int) -> int:
    """Every delivery goes over a retry topic."""
    return HTTPStatus.SERVICE_UNAVAILABLE if attempt == 1 else HTTPStatus.OK


async def _settled(workspace: Workspace) -> bool:
    """False too while the broker, thawed, is not yet a coordinator again."""
    try:
        return await workspace.caught_up()
    except KafkaError:
        return False


@pytest.mark.timeout(300)
async def test_a_broker_that_freezes(server: KafkaServer, mortal: Workspace) -> None:
    """A broker that freezes in the middle of everything costs no delivery, and the daemon goes on
    when it does.

    1. Answers to requests under way make records to publish, and the broker freezes. 2. They are
    given up in time, and intake pauses; the daemon is alive. 3. The broker goes on: what was
    published without an answer is published again, nothing is lost, and commits go on.
    """
    await mortal.create_topics()
    async with (
        LedgerHarness(mortal, ["a"], _fails_at_first) as ledger,
        Receiver(otherwise=ledger) as receiver,
    ):
        mortal.write_settings()
        mortal.write_hooks(hook("a", receiver.origin, order="user"))
        async with Daemon(mortal.config) as daemon, CommitsHarness(ledger):
            await ledger.write(50)
            await wait_until(mortal.caught_up, "the first to be settled")
            ledger.held = asyncio.Event()
            await ledger.write(50)
            await wait_until(lambda: len(ledger.attempts) > 60, "requests under way")
            os.kill(server.pid, signal.SIGSTOP)
            try:
                ledger.held.set()
                ledger.held = None
                await wait_until(
                    lambda: daemon.said("publishing fails; intake pauses"),
                    "publishing to be given up",
                    patience=FROZEN,
                )
                assert not await daemon.ready()
                assert (await daemon.get("/healthz"))[0] == HTTPStatus.OK
            finally:
                os.kill(server.pid, signal.SIGCONT)
            await wait_until(daemon.ready, "the daemon to be ready again", patience=FROZEN)
            assert daemon.said("publishing works again")
            await wait_until(lambda: _settled(mortal), "all to be settled", patience=FROZEN)
            assert await daemon.stop() == 0
        await ledger.check()
