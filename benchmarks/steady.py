"""A steady load of events, the receiver that sees how old they are, and what both cost."""

import asyncio
import os
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import quantiles
from typing import Any, cast

import orjson

EVENTS_PER_SECOND = 500
_BATCHES_PER_SECOND = 100


class AgeReceiver(asyncio.Protocol):
    """Answers every request, and notes how old its event is: its parameter `t`, epoch seconds."""

    def __init__(self, ages: list[float]) -> None:
        self._ages = ages
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Each request comes whole, since it is small."""
        for head in data.split(b"\r\n\r\n")[:-1]:
            self._ages.append(time.time() - float(head.partition(b"t=")[2].partition(b" ")[0]))
            self._transport.write(b"HTTP/1.1 204 No Content\r\n\r\n")


async def steady_events(producer: Any, topic: str, hooks: int, seconds: float) -> None:
    """Write `EVENTS_PER_SECOND` events, each for one hook: `select` is `key-<number>`."""
    began, sent = time.monotonic(), 0
    while (passed := time.monotonic() - began) < seconds:
        while sent < passed * EVENTS_PER_SECOND:
            data = {"event_key": f"key-{sent % min(hooks, 300)}", "t": f"{time.time():.6f}"}
            await producer.send(topic, orjson.dumps({"id": f"{began}-{sent}", "data": data}))
            sent += 1
        await asyncio.sleep(1 / _BATCHES_PER_SECOND)


def print_spread(name: str, seconds: Sequence[float]) -> None:
    """Print how many there are, median, 99th percentile and maximum."""
    cuts = [1000 * cut for cut in quantiles(seconds, n=1000)]
    print(
        f"{name}: n={len(seconds)}, p50 {cuts[499]:.1f} ms, p99 {cuts[989]:.1f} ms, "
        f"max {1000 * max(seconds):.1f} ms"
    )


def cpu_seconds(pid: int) -> float:
    """Seconds of user and system time of a process so far, of all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
