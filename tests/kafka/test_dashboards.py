"""The dashboards on a real Prometheus that has scraped a real daemon under faults."""

import asyncio
import re
from functools import partial
from itertools import count
from pathlib import Path

from dashboards.boards import BOARDS
from support.daemon import Daemon
from support.prometheus import PrometheusServer
from support.receiver import Receiver, Reply, response
from support.receiver_harness import Arrival, ReceiverHarness
from support.waiting import PATIENCE, wait_until
from support.workspace import Workspace, event, hook

_STATUSES = {"failing": (503,), "mixed": (200, 503, 404)}


def _expression(query: str) -> str:
    """A panel's query as Grafana would ask it for the hook `mixed`."""
    filled = query.replace("$__rate_interval", "20s").replace("$job", "hookstream")
    filled = filled.replace("$hook", "mixed")
    assert not re.search(r"\$\w", filled)
    return filled


async def _keep_producing(workspace: Workspace) -> None:
    for number in count():
        events = [event(f"e{number}-{each}") for each in range(20)]
        await workspace.cluster.produce(workspace.topic("event"), events)
        await asyncio.sleep(0.5)


async def test_each_panel_shows_data(workspace: Workspace, tmp_path: Path) -> None:
    """Each query of each panel has an answer from a daemon with an endpoint that fails, one that
    answers this and that, a hook at its rate limit, dead letters and overflow.
    """
    order = count()

    def answer(arrival: Arrival) -> Reply:
        statuses = _STATUSES.get(arrival.hook, (200,))
        return response(statuses[next(order) % len(statuses)])

    await workspace.create_topics()
    workspace.write_settings()
    async with Receiver(otherwise=ReceiverHarness(answer)) as receiver:
        limit = {"requests": 1, "per": "1s", "burst": 1}
        workspace.write_hooks(
            hook("failing", receiver.origin),
            hook("mixed", receiver.origin),
            hook("limited", receiver.origin, rate_limit=limit),
        )
        async with Daemon(workspace.config) as daemon:
            target = f"127.0.0.1:{daemon.admin_port}"
            producing = asyncio.create_task(_keep_producing(workspace))
            try:
                async with PrometheusServer(tmp_path, [target]) as prometheus:
                    await _show_all(prometheus)
            finally:
                producing.cancel()
            await daemon.kill()


async def _show_all(prometheus: PrometheusServer) -> None:
    """Wait until each query of each panel has an answer, and the faults show."""
    for board in BOARDS.values():
        for panel in (panel for row in board.rows.values() for panel in row):
            for query in panel.queries.values():
                asked = partial(prometheus.query, _expression(query))
                what = f"{board.title}: {panel.title}: {query}"
                await wait_until(asked, what, patience=2 * PATIENCE)
    for fault in (
        'max(hookstream_circuit_open{hook="failing"})',
        'sum(hookstream_deliveries_total{outcome="overflowed"})',
        'sum(hookstream_dead_letters_total{reason="permanent"})',
    ):
        assert sum(await prometheus.query(fault)) > 0, fault
