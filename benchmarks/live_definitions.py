"""What live definitions cost: a start with many, a change among many, and changes beside events.

`python -m benchmarks.live_definitions` (wants Java; `--hooks`, `--seconds`).
"""

import argparse
import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from benchmarks.errors import BenchmarkError
from benchmarks.own_workspace import own_workspace
from benchmarks.steady import AgeReceiver, cpu_seconds, print_spread, steady_events
from support.daemon import Daemon
from support.live_hooks import LIVE, OFFSET
from support.waiting import wait_until
from support.workspace import Workspace

_CHANGES_PER_SECOND = 4
_ROUNDS = 3
_READY_SECONDS = 120.0
_IN_FORCE = "live definitions are in force"


def _definition(number: int, origin: str, version: int) -> dict[str, Any]:
    return {
        "id": f"h{number}",
        "name": f"Hook {number}",
        "trigger": "event",
        "select": [f"key-{number}"],
        "uri": f"{origin}/h/{number}/{version}",
        "headers": [{"key": "X-City", "source": "profile", "value": "city"}],
        "parameters": [{"key": "t", "source": "event", "value": "data.t"}],
        "rate_limit": {"requests": 1000, "per": "1s"},
    }


async def _write(producer: Any, topic: str, number: int, origin: str, version: int) -> Any:
    definition = _definition(number, origin, version)
    value = orjson.dumps({"format": 1, "revision": version, "definition": definition})
    return await producer.send(topic, value, key=definition["id"].encode())


async def _changes(
    producer: Any, topic: str, origin: str, hooks: int, seconds: float
) -> dict[int, float]:
    """Changes of hooks that get no events and of one that does; their times by offset."""
    written: dict[int, float] = {}
    for version in range(2, 2 + round(seconds * _CHANGES_PER_SECOND)):
        number = hooks - version if version % 2 else 7
        before = time.time()
        placed = await (await _write(producer, topic, number, origin, version))
        written[placed.offset] = before
        await asyncio.sleep(1 / _CHANGES_PER_SECOND)
    return written


def _times_in_force(daemon: Daemon, written: dict[int, float]) -> list[float]:
    """Seconds from before a change was written until it was in force, by the daemon's log."""
    lines = [
        (line["offset"], datetime.fromisoformat(line["time"]).timestamp())
        for line in daemon.said(_IN_FORCE)
    ]
    return [
        min(at for offset, at in lines if offset >= wanted) - before
        for wanted, before in written.items()
    ]


def _memory(daemon: Daemon) -> int:
    lines = Path(f"/proc/{daemon.pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) // 1024


@asynccontextmanager
async def _started(daemon: Daemon) -> AsyncIterator[None]:
    began = time.monotonic()
    await daemon.launch()
    try:

        async def ready() -> bool:
            if daemon.returncode is not None:
                raise BenchmarkError("".join(daemon.lines))
            return daemon.admin_port is not None and await daemon.ready()

        await wait_until(ready, "the daemon to be ready", patience=_READY_SECONDS)
        print(
            f"start: {cpu_seconds(daemon.pid):.2f} s of CPU, {time.monotonic() - began:.1f} s, "
            f"peak {_memory(daemon)} MB"
        )
        yield
    finally:
        await daemon.kill()


async def _measure(workspace: Workspace, hooks: int, seconds: float) -> None:
    cluster, topic, live = workspace.cluster, workspace.topic("event"), workspace.live_topics[0]
    ages: list[float] = []
    server = await asyncio.get_running_loop().create_server(
        partial(AgeReceiver, ages), "127.0.0.1", 0
    )
    origin = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    await workspace.create_topics()
    await cluster.create([live], partitions=1, configs={"cleanup.policy": "compact"})
    workspace.write_settings(hooks=LIVE)
    async with cluster.producer(linger_ms=20) as producer:
        for number in range(hooks):
            await _write(producer, live, number, origin, 1)
    daemon = Daemon(workspace.config)
    async with cluster.producer() as producer, _started(daemon):
        print(f"hooks in use: {await daemon.sample('hookstream_hooks'):.0f} of {hooks}")
        calm: list[float] = []
        busy: list[float] = []
        in_force: list[float] = []
        await steady_events(producer, topic, hooks, 5.0)
        for _ in range(_ROUNDS):
            for is_busy in (False, True):
                ages.clear()
                cpu = cpu_seconds(daemon.pid)
                load = asyncio.create_task(steady_events(producer, topic, hooks, seconds))
                if is_busy:
                    written = await _changes(producer, live, origin, hooks, seconds)
                    last = max(written)
                    await wait_until(partial(_reached, daemon, last), "the changes")
                    in_force += _times_in_force(daemon, written)
                await load
                with suppress(TimeoutError):
                    await asyncio.wait_for(workspace.caught_up(), 10.0)
                (busy if is_busy else calm).extend(ages)
                print(f"{'busy' if is_busy else 'calm'}: CPU {cpu_seconds(daemon.pid) - cpu:.2f} s")
    server.close()
    print_spread("events without changes", calm)
    print_spread(f"events beside {_CHANGES_PER_SECOND} changes a second", busy)
    print_spread("changes in force", in_force)


async def _reached(daemon: Daemon, offset: int) -> bool:
    return await daemon.sample(OFFSET) >= offset


def main() -> None:
    """Start a broker, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hooks", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each round")
    options = parser.parse_args()
    with own_workspace("live") as workspace:
        asyncio.run(_measure(workspace, options.hooks, options.seconds))


if __name__ == "__main__":
    main()
