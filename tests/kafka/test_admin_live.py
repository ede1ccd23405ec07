"""What Prometheus and Kubernetes see of a daemon that has worked."""

import asyncio
import itertools
from contextlib import suppress

import pytest
from prometheus_client.parser import text_string_to_metric_families

from support.daemon import Daemon
from support.receiver import Receiver, response
from support.waiting import wait_until
from support.workspace import Workspace, event, hook

CONTRACT = {
    "hookstream_events": ("counter", {"trigger", "result"}),
    "hookstream_deliveries": ("counter", {"hook", "outcome"}),
    "hookstream_attempts": ("counter", {"hook", "status"}),
    "hookstream_attempt_duration_seconds": ("histogram", {"hook"}),
    "hookstream_delivery_latency_seconds": ("histogram", {"hook"}),
    "hookstream_in_flight": ("gauge", set()),
    "hookstream_consumer_lag": ("gauge", {"topic", "partition"}),
    "hookstream_oldest_unsettled_seconds": ("gauge", set()),
    "hookstream_circuit_open": ("gauge", {"hook"}),
    "hookstream_dead_letters": ("counter", {"hook", "reason"}),
    "hookstream_hooks": ("gauge", set()),
    "hookstream_reloads": ("counter", {"result"}),
    "hookstream_last_reload_successful": ("gauge", set()),
}
"""As docs/reference/metrics.md has them; the parser takes `_total` off a counter's family."""


async def test_metrics_of_a_run_are_the_contracts(workspace: Workspace) -> None:
    """After deliveries and a dead letter every metric of the contract is there, with its type and
    exactly its labels, and the numbers are those of the run; the probes answer.
    """
    await workspace.create_topics()

    async with Receiver(
        otherwise=lambda head: response(404 if b"/h/bad" in head else 204)
    ) as receiver:
        workspace.write_settings()
        workspace.write_hooks(hook("good", receiver.origin), hook("bad", receiver.origin))
        await workspace.cluster.produce(workspace.topic("event"), [event("e1"), event("e2")])
        await workspace.cluster.produce(workspace.topic("geofence"), [b"{}"])
        async with Daemon(workspace.config) as daemon:
            await wait_until(workspace.caught_up, "all to be settled")
            status, text = await daemon.get("/metrics")
            assert status == 200
            assert (await daemon.get("/healthz"))[0] == 200
            assert (await daemon.get("/readyz"))[0] == 200
            assert (await daemon.get("/nowhere"))[0] == 404
            _check_families(text)
            _check_numbers(await daemon.samples(), workspace)
            assert await daemon.stop() == 0


HOSTILE = (
    b"",
    b"GET /met",
    b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n" * 100,
    b"GET /" + b"x" * 200_000,
    b"POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\nx",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
)
"""What clients say who then neither read nor leave."""


async def test_hostile_clients_cost_deliveries_nothing(workspace: Workspace) -> None:
    """Hostile clients of the admin server hold back neither deliveries nor probes.

    1. More clients than connections are allowed are silent, stop in the middle, or never read; one
    asks for metrics without a pause. 2. Meanwhile all events are delivered, and a probe is
    answered.
    """
    await workspace.create_topics()
    async with Receiver() as receiver:
        workspace.write_settings()
        workspace.write_hooks(hook("a", receiver.origin))
        async with Daemon(workspace.config) as daemon:
            writers = [await _hostile(daemon, words) for words in itertools.chain(*[HOSTILE] * 20)]
            asking = asyncio.create_task(_ask_without_pause(daemon))
            values = [event(f"e{number}") for number in range(300)]
            await workspace.cluster.produce(workspace.topic("event"), values)
            await wait_until(workspace.caught_up, "all to be settled")
            assert await daemon.ready()
            asking.cancel()
            with suppress(asyncio.CancelledError):
                await asking
            assert await daemon.stop() == 0
            for writer in writers:
                writer.transport.abort()
    assert len(receiver.requests) == 300
    assert daemon.complaints == []


async def _hostile(daemon: Daemon, words: bytes) -> asyncio.StreamWriter:
    _, writer = await asyncio.open_connection("127.0.0.1", daemon.admin_port)
    writer.write(words)
    return writer


async def _ask_without_pause(daemon: Daemon) -> None:
    while True:
        assert (await daemon.get("/metrics"))[0] == 200


def _check_families(text: str) -> None:
    families = {family.name: family for family in text_string_to_metric_families(text)}
    for name, (kind, labels) in CONTRACT.items():
        family = families[name]
        assert family.type == kind, name
        assert family.samples, name
        for sample in family.samples:
            assert sample.labels.keys() - {"le"} == labels, sample


def _check_numbers(numbers: dict[str, float], workspace: Workspace) -> None:
    expected = {
        'hookstream_events_total{result="matched",trigger="event"}': 2,
        'hookstream_events_total{result="unmatched",trigger="geofence"}': 1,
        'hookstream_deliveries_total{hook="good",outcome="delivered"}': 2,
        'hookstream_deliveries_total{hook="bad",outcome="dead_lettered"}': 2,
        'hookstream_attempts_total{hook="good",status="2xx"}': 2,
        'hookstream_attempts_total{hook="bad",status="4xx"}': 2,
        'hookstream_attempt_duration_seconds_count{hook="good"}': 2,
        'hookstream_delivery_latency_seconds_count{hook="good"}': 2,
        'hookstream_circuit_open{hook="good"}': 0,
        'hookstream_dead_letters_total{hook="bad",reason="permanent"}': 2,
        "hookstream_in_flight": 0,
        "hookstream_oldest_unsettled_seconds": 0,
        "hookstream_hooks": 2,
        'hookstream_reloads_total{result="ok"}': 0,
        "hookstream_last_reload_successful": 1,
    }
    assert {series: numbers.get(series) for series in expected} == pytest.approx(expected)
    lags = {one: lag for one, lag in numbers.items() if one.startswith("hookstream_consumer_lag")}
    assert set(lags.values()) == {0.0}
    assert any(workspace.topic("event") in series for series in lags)
