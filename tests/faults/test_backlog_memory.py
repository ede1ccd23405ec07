"""A long lag and no broker: memory is bounded whatever waits (invariant 4)."""

import asyncio
import re
import signal
import time
from http import HTTPStatus
from math import inf
from pathlib import Path

import pytest

from support.broker import KafkaServer
from support.daemon import Daemon
from support.ledger_harness import LedgerHarness
from support.log_ledger import LOST_SECONDS, LogLedger
from support.receiver import Receiver
from support.waiting import wait_until
from support.workspace import Workspace, hook

SMALL, LARGE = 2_000, 200_000
"""Events of a kilobyte."""
BOUND = 64
"""MiB by which the peak may grow with a backlog that is 200 MB larger: what is on its way to our
own topics when the broker goes, and fetches that are under way."""
DEFERRED = 20_000
WRITTEN = 'hookstream_deliveries_total{{hook="a",outcome="{}"}}'


def _peak(daemon: Daemon) -> float:
    """MiB: the most that the process ever had in memory."""
    status = Path(f"/proc/{daemon.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) / 1024


@pytest.mark.timeout(300)  # tens of thousands of rows are compared with the requests
async def test_memory_is_bounded_with_a_backlog_and_no_broker(
    server: KafkaServer, mortal: Workspace, log_ledger: LogLedger
) -> None:
    """Memory stays bounded while a hundred times as many events wait and all brokers are down.

    1. A few events come whose deliveries all go to our own topics: the peak is noted. 2. While the
    daemon is frozen, a hundred times as many come. 3. It goes on, and in the midst of them all
    brokers die. 4. The peak has hardly risen, and the daemon is alive.
    """
    await mortal.create_topics()
    async with (
        LedgerHarness(mortal, ["a"], _fails) as ledger,
        Receiver(otherwise=ledger) as receiver,
    ):
        mortal.write_settings(retry={"delays": ["1h"]})
        mortal.write_hooks(hook("a", receiver.origin))
        async with Daemon(mortal.config) as daemon:
            await ledger.write(SMALL, filler="x" * 1_000)
            await wait_until(lambda: _written(daemon, SMALL), "all to be written")
            small = _peak(daemon)
            daemon.signal(signal.SIGSTOP)
            for _ in range(20):
                await ledger.write(LARGE // 20, filler="x" * 1_000)
            daemon.signal(signal.SIGCONT)
            await wait_until(lambda: _written(daemon, DEFERRED), "many to be written")
            await asyncio.to_thread(server.kill)
            log_ledger.lost.append((time.time() - LOST_SECONDS, inf))
            await wait_until(lambda: _unready(daemon), "the daemon not to be ready")
            assert not await _written(daemon, LARGE // 2), "the backlog is no more"
            assert _peak(daemon) < small + BOUND
            status, _ = await daemon.get("/healthz")
            assert status == HTTPStatus.OK
            log_ledger.dropped += int(await daemon.sample("hookstream_delivery_log_dropped_total"))


def _fails(_delivery: str, _attempt: int) -> int:
    return HTTPStatus.SERVICE_UNAVAILABLE


async def _written(daemon: Daemon, number: int) -> bool:
    samples = await daemon.samples()
    return sum(samples[WRITTEN.format(how)] for how in ("retried", "overflowed")) >= number


async def _unready(daemon: Daemon) -> bool:
    return not await daemon.ready()
