"""What searches of a panel cost deliveries: a steady load, with a panel beside it that searches the
delivery log all the time, and without.

`python -m benchmarks.searched_log` (wants Java; `--records`, `--seconds`, `--rounds`).
"""

import argparse
import asyncio
import os
from collections import Counter
from collections.abc import Sequence
from functools import partial
from itertools import count
from statistics import median, quantiles
from typing import Any

from benchmarks.delivery_log import fill
from benchmarks.own_workspace import own_workspace
from benchmarks.steady import AgeReceiver, cpu_seconds, print_spread, steady_events
from support.daemon import Daemon
from support.live_hooks import LIVE, LiveHooks, in_force
from support.panel import Client, PanelProcess, token_entries
from support.waiting import wait_until
from support.workspace import Workspace

_HOOKS = 100
_WARM_UP_SECONDS = 5.0
_LOG_EVERYTHING = {"failures": True, "successes": 1.0}
_QUESTIONS = ("/hooks", "/deliveries?status=404", "/reports?since=24h")
"""The list of hooks, a search of the whole log that finds nothing, and the reports of a day."""


async def _search(url: str, searches: Counter[str], over: asyncio.Event) -> None:
    """Ask one question after the other until it is over."""
    client = Client(url)
    for number in count():
        if over.is_set():
            return
        question = _QUESTIONS[number % len(_QUESTIONS)]
        answer = await client("GET", question)
        assert answer.status == 200, answer.body  # noqa: S101, PLR2004
        searches[question.partition("?")[0]] += 1


def _cuts(ages: Sequence[float]) -> tuple[float, float]:
    """The median and the 99th percentile, in milliseconds."""
    cuts = quantiles(ages, n=100)
    return 1000 * cuts[49], 1000 * cuts[98]


async def _round(
    workspace: Workspace, daemon: Daemon, ages: list[float], seconds: float
) -> tuple[float, float, float]:
    """Median and 99th percentile in ms, and microseconds of the daemon's CPU for a delivery."""
    ages.clear()
    cpu = cpu_seconds(daemon.pid)
    async with workspace.cluster.producer() as producer:
        await steady_events(producer, workspace.topic("event"), _HOOKS, seconds)
    await wait_until(workspace.caught_up, "the deliveries", patience=120)
    return *_cuts(ages), (cpu_seconds(daemon.pid) - cpu) / len(ages) * 1e6


async def _measure(workspace: Workspace, seconds: float, rounds: int) -> None:
    ages: list[float] = []
    server = await asyncio.get_running_loop().create_server(
        partial(AgeReceiver, ages), "127.0.0.1", 0
    )
    origin = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    await workspace.create_topics()
    workspace.write_settings(
        hooks=LIVE,
        delivery_log=_LOG_EVERYTHING,
        panel={"port": 0, "tokens": token_entries()},
    )
    live, ratios = LiveHooks(workspace), list[tuple[float, ...]]()
    async with Daemon(workspace.config) as daemon, PanelProcess(workspace.config) as panel:
        await live.put_many(_definition(number, origin) for number in range(1, _HOOKS))
        await in_force(daemon, await live.put(_definition(0, origin)))
        await _round(workspace, daemon, ages, _WARM_UP_SECONDS)
        for _ in range(rounds):
            calm = await _round(workspace, daemon, ages, seconds)
            print_spread("without a panel", ages)
            searches, over = Counter[str](), asyncio.Event()
            searching = asyncio.create_task(_search(panel.url or "", searches, over))
            busy = await _round(workspace, daemon, ages, seconds)
            over.set()
            await searching
            print_spread(f"beside {dict(searches)}", ages)
            ratios.append(tuple(b / c for b, c in zip(busy, calm, strict=True)))
            print(f"CPU of a delivery: {calm[2]:.0f} us without, {busy[2]:.0f} us beside")
    server.close()
    p50, p99, cpu = (median(values) for values in zip(*ratios, strict=True))
    print(f"beside / without: p50 {p50:.2f}, p99 {p99:.2f}, CPU of a delivery {cpu:.2f}")
    print(f"load of the machine (1 min, {os.cpu_count()} CPUs): {os.getloadavg()[0]:.1f}")


def _definition(number: int, origin: str) -> dict[str, Any]:
    return {
        "id": f"h{number}",
        "trigger": "event",
        "select": [f"key-{number}"],
        "uri": f"{origin}/h/{number}",
        "parameters": [{"key": "t", "source": "event", "value": "data.t"}],
    }


def main() -> None:
    """Start a broker, write a log, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000, help="of the log at first")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each round")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with own_workspace("searched") as workspace:
        fill(workspace.cluster.bootstrap, workspace.log_topics[0], options.records)
        asyncio.run(_measure(workspace, options.seconds, options.rounds))


if __name__ == "__main__":
    main()
