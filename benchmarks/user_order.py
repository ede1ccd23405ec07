"""What `order: user` costs, and what others notice of a user whose deliveries fail.

`python -m benchmarks.user_order` (wants Java; `--seconds`, `--rate`). One daemon gets a steady load
of events, keyed by user, for a hook without and for one with `order: user`, in turn: first while
all is well, then while every delivery of one user, which has one event in a hundred, fails.
"""

import argparse
import asyncio
import time
from contextlib import suppress
from functools import partial
from typing import Any

import orjson

from benchmarks.own_workspace import own_workspace
from benchmarks.steady import AgeReceiver, cpu_seconds, print_spread
from support.daemon import Daemon
from support.workspace import Workspace, hook

USERS = 1_000
_BAD = "bad"
_BAD_EVERY = 100
_ROUNDS = 3
_BATCHES_PER_SECOND = 100
_HOOKS = ("plain", "ordered")


class _Receiver(AgeReceiver):
    """Fails for one user while `failing` has an item."""

    def __init__(self, ages: list[float], failing: list[bool]) -> None:
        super().__init__(ages)
        self._failing = failing

    def data_received(self, data: bytes) -> None:
        """See `AgeReceiver`; the bad user's events do not count."""
        for head in data.split(b"\r\n\r\n")[:-1]:
            if b"u=bad&" not in head:
                super().data_received(head + b"\r\n\r\n")
            elif self._failing:
                self._transport.write(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")
            else:
                self._transport.write(b"HTTP/1.1 204 No Content\r\n\r\n")


async def _load(producer: Any, topic: str, name: str, rate: int, seconds: float) -> None:
    began, sent = time.monotonic(), 0
    while (passed := time.monotonic() - began) < seconds:
        while sent < passed * rate:
            user = f"u{sent % USERS}" if sent % _BAD_EVERY else _BAD
            event = {
                "id": f"{began}-{sent}",
                "user": {"id": user},
                "data": {"event_key": name, "t": f"{time.time():.6f}"},
            }
            await producer.send(topic, orjson.dumps(event), key=user.encode())
            sent += 1
        await asyncio.sleep(1 / _BATCHES_PER_SECOND)


async def _measure(workspace: Workspace, rate: int, seconds: float) -> None:
    ages: list[float] = []
    failing: list[bool] = []
    server = await asyncio.get_running_loop().create_server(
        partial(_Receiver, ages, failing), "127.0.0.1", 0
    )
    origin = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    await workspace.create_topics()
    workspace.write_settings(delivery={"quick_attempts": 3}, retry={"delays": ["10s", "1m"]})
    values = [
        {"key": "u", "source": "profile", "value": "id"},
        {"key": "t", "source": "event", "value": "data.t"},
    ]
    workspace.write_hooks(
        *(
            hook(
                name, origin, select=[name], parameters=values, **({"order": "user"} if at else {})
            )
            for at, name in enumerate(_HOOKS)
        )
    )
    topic = workspace.topic("event")
    found: dict[tuple[str, bool], tuple[list[float], list[float]]] = {
        (name, is_bad): ([], []) for is_bad in (False, True) for name in _HOOKS
    }
    async with workspace.cluster.producer() as producer, Daemon(workspace.config) as daemon:
        for name in _HOOKS:
            await _load(producer, topic, name, rate, 3.0)
        for is_bad in (False, True):
            failing[:] = [True] * is_bad
            for _ in range(_ROUNDS):
                for name in _HOOKS:
                    ages.clear()
                    cpu = cpu_seconds(daemon.pid)
                    await _load(producer, topic, name, rate, seconds)
                    with suppress(TimeoutError):
                        await asyncio.wait_for(workspace.caught_up(), 1.0)
                    times, costs = found[name, is_bad]
                    times += ages
                    costs.append((cpu_seconds(daemon.pid) - cpu) / (rate * seconds) * 1e6)
    server.close()
    for (name, is_bad), (times, costs) in found.items():
        beside = "beside a user whose deliveries fail" if is_bad else "while all is well"
        print_spread(f"{name}, {beside}: CPU {min(costs):.0f} us an event", times)


def main() -> None:
    """Start a broker, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=300, help="events a second")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each round")
    options = parser.parse_args()
    with own_workspace("order") as workspace:
        asyncio.run(_measure(workspace, options.rate, options.seconds))


if __name__ == "__main__":
    main()
