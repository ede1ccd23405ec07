"""A daemon under load for minutes: its memory, open files and connections must stay flat.

`make soak` runs it for ten minutes; `tests/field/test_soak.py` is the short form.
"""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import NamedTuple
from uuid import uuid4

from support.cluster import Cluster
from support.daemon import Daemon
from support.find_kafka import running_kafka
from support.load import LoadReceiver, Writer, definitions
from support.waiting import wait_until
from support.workspace import Workspace

_PAGE_MIB = os.sysconf("SC_PAGE_SIZE") / 2**20
_SAMPLE_SECONDS = 1.0
_PEAK_MIB = 105.0
"""110 million bytes: what a container needs, whatever waits and however long."""


class Sample(NamedTuple):
    """The figures of a process at one time."""

    at: float
    """Seconds since the load began."""
    memory: float
    """Resident memory, MiB."""
    files: int
    """Open file descriptors, sockets among them."""
    sockets: int
    answered: int
    """Requests answered with 2xx so far."""
    waiting: float
    """Records in the retry topics and the overflow topic, by the daemon's own gauge of lag."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The load of one run."""

    seconds: float
    per_second: int = 2_000
    failing_one_in: int = 50
    """Of so many events, one is for a hook whose first attempts fail for one in four."""
    reload_seconds: float = 20.0
    """The hooks get other hosts that often."""
    waiting: int = 0
    """Deliveries for a hook whose endpoint is down, written before the load."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The bounds within which a run is flat."""

    peak: float
    """MiB of memory, at any time."""
    growth: float = 6.0
    """MiB between the medians of the second and the last quarter."""
    more: int = 60
    """Files, and sockets, between the same: connections come and go with each reload."""
    sockets: int = 850
    """At any time: 512 idle connections (`delivery.http.descriptors`), 256 in use, and Kafka's."""


def judge(samples: Sequence[Sample], limits: Limits) -> list[str]:
    """The limits that `samples` break, each as a sentence; the first quarter is warming up."""
    quarter = len(samples) // 4
    early, late = samples[quarter : 2 * quarter], samples[3 * quarter :]
    found = []
    peak = max(sample.memory for sample in samples)
    if peak > limits.peak:
        found.append(f"memory reached {peak:.0f} MiB, more than {limits.peak:.0f}")
    most = max(sample.sockets for sample in samples)
    if most > limits.sockets:
        found.append(f"{most} sockets were open, more than {limits.sockets}")
    of: dict[str, Callable[[Sample], float]] = {
        "MiB of memory": lambda sample: sample.memory,
        "open files": lambda sample: sample.files,
        "sockets": lambda sample: sample.sockets,
    }
    for unit, value in of.items():
        before, after = median(map(value, early)), median(map(value, late))
        if after - before > (limits.growth if unit == "MiB of memory" else limits.more):
            found.append(f"{before:.0f} {unit} in the second quarter, {after:.0f} in the last")
    return found


class Soak:
    """One run. `show` is given each sample as it is taken."""

    def __init__(
        self, workspace: Workspace, plan: Plan, show: Callable[[Sample], None] = lambda _: None
    ) -> None:
        self.samples: list[Sample] = []
        self.complaints: list[str] = []
        """Error lines of the daemon."""
        self._workspace = workspace
        self._plan = plan
        self._show = show
        self._receiver = LoadReceiver()
        self._writer: Writer
        self._generation = 0

    async def run(self) -> None:
        """Load for the plan's time, then wait until the healthy hooks have each of their events.

        Raises:
            AssertionError: the daemon ended, a reload was refused, or an event did not arrive.
        """
        workspace, plan = self._workspace, self._plan
        await workspace.create_topics()
        workspace.write_settings(retry={"delays": list(workspace.delays)})
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._receiver.close)
            producer = await stack.enter_async_context(
                workspace.cluster.producer(enable_idempotence=True, linger_ms=5)
            )
            self._writer = Writer(producer, workspace, plan.failing_one_in)
            await self._write_hooks()
            daemon = await stack.enter_async_context(Daemon(workspace.config))
            await self._writer.burst(plan.waiting)
            over = asyncio.Event()
            writing = asyncio.create_task(self._writer.write_until(over, plan.per_second))
            try:
                await self._watch(daemon)
            finally:
                over.set()
                await writing
            await wait_until(
                lambda: self._receiver.healthy >= self._writer.healthy,
                "each event of a healthy hook to be delivered",
            )
            self.complaints = daemon.complaints

    async def _watch(self, daemon: Daemon) -> None:
        began = time.monotonic()
        reload_at = self._plan.reload_seconds
        while (now := time.monotonic() - began) < self._plan.seconds:
            if now >= reload_at:
                reload_at += self._plan.reload_seconds
                await self._write_hooks()
                daemon.signal(signal.SIGHUP)
            self.samples.append(await self._sample(daemon, now))
            self._show(self.samples[-1])
            await asyncio.sleep(began + now + _SAMPLE_SECONDS - time.monotonic())
        reloads = await daemon.sample('hookstream_reloads_total{result="ok"}')
        assert reloads == self._generation - 1, f"{reloads:.0f} of {self._generation - 1} reloads"

    async def _write_hooks(self) -> None:
        origins = await self._receiver.origins(self._generation)
        self._generation += 1
        self._workspace.write_hooks(*definitions(origins, down=self._plan.waiting > 0))

    async def _sample(self, daemon: Daemon, now: float) -> Sample:
        process = Path(f"/proc/{daemon.pid}")
        links = [_target(entry) for entry in (process / "fd").iterdir()]
        pages = int((process / "statm").read_text().split()[1])
        lags = await daemon.samples("hookstream_consumer_lag")
        waiting = sum(lag for name, lag in lags.items() if ".retry." in name or ".overflow" in name)
        return Sample(
            now,
            pages * _PAGE_MIB,
            len(links),
            sum(link.startswith("socket:") for link in links),
            self._receiver.answered,
            waiting,
        )


def _target(descriptor: Path) -> str:
    try:
        return str(descriptor.readlink())
    except FileNotFoundError:
        return ""  # closed since it was listed


async def _soak(folder: Path, bootstrap: str, plan: Plan) -> Soak:
    workspace = Workspace(folder, Cluster(bootstrap), f"soak-{uuid4().hex[:8]}")
    workspace.delays = ("10s", "1m", "10m", "1h", "6h")
    soak = Soak(workspace, plan, _print)
    await soak.run()
    return soak


def _print(sample: Sample) -> None:
    if int(sample.at) % 10 == 0:
        sys.stdout.write(
            f"{sample.at:4.0f} s {sample.memory:6.1f} MiB {sample.files:5} files "
            f"{sample.sockets:5} sockets {sample.answered:9} delivered "
            f"{sample.waiting:7.0f} waiting\n"
        )
        sys.stdout.flush()


def main() -> None:
    """`python -m support.soak`: exit code 1 if a limit is broken."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--waiting", type=int, default=0, help="deliveries for a dead endpoint")
    options = parser.parse_args()
    plan = Plan(seconds=options.minutes * 60, waiting=options.waiting)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "kafka").mkdir()
        with running_kafka(folder / "kafka") as bootstrap:
            soak = asyncio.run(_soak(folder, bootstrap, plan))
    found = [*judge(soak.samples, Limits(peak=_PEAK_MIB)), *soak.complaints]
    if found:
        sys.exit("\n".join(found))
    sys.stdout.write("memory, open files and sockets stayed flat\n")


if __name__ == "__main__":
    main()
