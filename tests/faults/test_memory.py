"""Memory while a hook fails under a large backlog: what is in the process stays bounded."""

from pathlib import Path

from support.conduct import Arrival, Conduct
from support.daemon import Daemon
from support.receiver import Receiver, Reply, response
from support.waiting import wait_until
from support.workspace import Workspace, event, hook, ids_of

EVENTS, SIZE = 12_000, 8_000
GROWTH = 64
"""MiB, at most: two thirds of the backlog's own bytes, and a fraction of it once it is parsed."""
LIMITS = {"quick_attempts": 3}


def _fails_in_part(arrival: Arrival) -> Reply:
    """Every sixth delivery of `failing` is never taken: three of eight attempts fail, which leaves
    the circuit closed and quick repeats going on.
    """
    number = int(arrival.delivery[1:].partition(":")[0])
    return response(503 if arrival.hook == "failing" and number % 6 == 0 else 200)


def _resident(daemon: Daemon, name: str) -> float:
    """Now (`VmRSS`) or at most so far (`VmHWM`), in MiB."""
    status = Path(f"/proc/{daemon._process.pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith(name)]
    return int(line.split()[1]) / 1024


async def test_a_backlog_behind_a_failing_hook_stays_in_kafka(workspace: Workspace) -> None:
    """1. The daemon is warm: it has served both hooks. 2. A backlog of a hundred MB comes in, and
    a part of one hook's deliveries fails all the time, with quick repeats. 3. Until all of it was
    attempted, the process grew by less than the backlog; the other hook got each event once.
    """
    warm = [f"w{number}" for number in range(1_000)]
    names = [f"e{number}" for number in range(EVENTS)]
    conduct = Conduct(_fails_in_part)
    await workspace.create_topics()
    workspace.delays = tuple(f"6{delay}" for delay in workspace.delays)  # parked ones stay away
    workspace.write_settings(delivery=LIMITS)
    async with Receiver(otherwise=conduct) as receiver:
        workspace.write_hooks(hook("failing", receiver.origin), hook("well", receiver.origin))
        topic, padding = workspace.topic("event"), "x" * SIZE
        async with Daemon(workspace.config) as daemon:
            await workspace.cluster.produce(topic, (event(n, text=padding) for n in warm))
            expected = ids_of("well", warm) | ids_of("failing", warm)
            await wait_until(lambda: conduct.reached(expected), "the first ones")
            before = _resident(daemon, "VmRSS")
            await workspace.cluster.produce(topic, (event(n, text=padding) for n in names))
            expected = ids_of("well", names) | ids_of("failing", names)
            await wait_until(lambda: conduct.reached(expected), "all", patience=90)
            grown = _resident(daemon, "VmHWM") - before
            samples = await daemon.samples()
            await daemon.stop()
    print(f"{before:.0f} MiB before, grown by {grown:.0f}")  # noqa: T201  # shown by -rP
    assert grown < GROWTH
    assert {conduct.attempts[delivery] for delivery in ids_of("well", names)} == {1}
    assert samples['hookstream_circuit_open{hook="failing"}'] == 0
    failed = 'hookstream_attempts_total{hook="failing",status="5xx"}'
    assert samples[failed] > 2 * EVENTS / 6, "quick repeats"
