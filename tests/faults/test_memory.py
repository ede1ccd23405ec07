"""Memory while a hook fails under a large lag: what is in the process stays bounded."""

import asyncio
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path

from support.daemon import Daemon
from support.receiver import Receiver, response
from support.receiver_harness import Arrival, ReceiverHarness
from support.waiting import wait_until
from support.workspace import Workspace, event, hook, ids_of

EVENTS, SIZE = 12_000, 8_000
GROWTH = EVENTS * SIZE / 2**20
"""MiB, at most: the backlog's own bytes. All of it in the process would be twice as much."""


def _status(arrival: Arrival) -> int:
    """Every sixth delivery is never taken: three of eight attempts fail, which leaves the circuit
    closed and quick repeats going on.
    """
    number = int(arrival.delivery[1:].partition(":")[0])
    return HTTPStatus.SERVICE_UNAVAILABLE if number % 6 == 0 else HTTPStatus.OK


def _resident(daemon: Daemon, name: str) -> float:
    """Now (`VmRSS`) or at most so far (`VmHWM`), in MiB."""
    status = Path(f"/proc/{daemon._process.pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith(name)]
    return int(line.split()[1]) / 1024


async def test_a_backlog_behind_a_failing_hook_stays_in_kafka(workspace: Workspace) -> None:
    """A hundred MB of events behind a failing hook stay in Kafka and not in memory.

    1. The daemon is warm. 2. A hundred MB of events are written while the receiver holds its
    answers back. 3. It answers; a part of the deliveries fails all the time, with in-process
    retries. 4. Until all of it was attempted, the process grew by less than the size of the events.
    """
    warm = [f"w{number}" for number in range(1_000)]
    names = [f"e{number}" for number in range(EVENTS)]
    held = asyncio.Event()
    held.set()
    conduct = ReceiverHarness(lambda arrival: replace(response(_status(arrival)), after=held))
    await workspace.create_topics()
    workspace.delays = tuple(f"6{delay}" for delay in workspace.delays)  # deferred ones stay away
    workspace.write_settings(delivery={"quick_attempts": 3, "timeout": "2m"})
    async with Receiver(otherwise=conduct) as receiver:
        # One hook: with others in the table, those that wait too long would be deferred.
        workspace.write_hooks(hook("a", receiver.origin))
        topic, padding = workspace.topic("event"), "x" * SIZE
        async with Daemon(workspace.config) as daemon:
            await workspace.cluster.produce(topic, (event(n, text=padding) for n in warm))
            await wait_until(lambda: conduct.reached(ids_of("a", warm)), "the first ones")
            before = _resident(daemon, "VmRSS")
            held.clear()
            await workspace.cluster.produce(topic, (event(n, text=padding) for n in names))
            held.set()
            await wait_until(lambda: conduct.reached(ids_of("a", names)), "all", patience=90)
            grown = _resident(daemon, "VmHWM") - before
            samples = await daemon.samples()
            await daemon.stop()
    print(f"{before:.0f} MiB before, grown by {grown:.0f}")  # noqa: T201  # shown by -rP
    assert grown < GROWTH
    assert samples['hookstream_circuit_open{hook="a"}'] == 0
    assert samples['hookstream_attempts_total{hook="a",status="5xx"}'] > 2 * EVENTS / 6, "repeats"
