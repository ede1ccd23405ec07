"""What the panel's pages cost with few hooks and with many: time, CPU time and size of each.

`python -m benchmarks.panel_pages` (wants Java; `--hooks`, `--records` of the delivery log).
"""

import argparse
import asyncio
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
import orjson
from yarl import URL

from consumer.journal.records import DeliveryRecord, Followed, Phases, ReportRecord, report_value
from consumer.metrics.hooks import ATTEMPT_BUCKETS
from support.broker import KafkaServer
from support.cluster import Cluster
from support.jars import kafka_jars
from support.log_records import delivery_value
from support.panel import TOKENS, PanelProcess, token_entries
from support.waiting import wait_until
from support.workspace import Workspace, event

_FEW = 10
_ROUNDS = 7
_HOURS = 24
_EVENTS = 1_000
_PATHS: Mapping[str, str] = {
    "hooks": "/hooks",
    "hooks, searched": "/hooks?q=hook+7",
    "new hook": "/new-hook",
    "a hook": "/hooks/h7",
    "its form": "/hooks/h7/edit",
    "deliveries": "/deliveries",
    "deliveries of a hook": "/deliveries?hook=h7",
    "a delivery": "/delivery?id=e7:h7&hook=h7",
    "reports": "/reports",
    "reports of a hook": "/reports?hook=h7",
    "dead letters": "/dead-letters",
    "events": "/events?trigger=event",
    "compose": "/compose?trigger=event&subject=key-7",
    "replicas": "/replicas",
    "audit": "/audit",
}
_FRAGMENTS: Mapping[str, str] = {
    f"beside a form: {part}": f"/trial/{part}" for part in ("events", "sample", "change")
}
_FORM: Mapping[str, str] = {
    "id": "h7", "seen": "1", "name": "Hook 7", "trigger": "event", "enabled": "on",
    "uri": "https://receiver-7.example.com/{campaign}/new", "labels.0.name": "campaign",
    "labels.0.label": "Campaign code", "labels.0.default": "none", "headers.0.key": "X-City",
    "headers.0.source": "profile", "headers.0.value": "city",
}  # fmt: skip
"""A hook as its form posts it at each keystroke."""
_LOADED_SECONDS = 120.0


def _definitions(hooks: int) -> Iterator[tuple[bytes, bytes]]:
    for number in range(hooks):
        definition = {
            "id": f"h{number}",
            "name": f"Hook {number}",
            "trigger": "event",
            "select": [f"key-{number}"],
            "uri": f"https://receiver-{number % 50}.example.com/{{campaign}}",
            "uri_parameters": {"campaign": {"label": "Campaign code", "default": "none"}},
            "headers": [{"key": "X-City", "source": "profile", "value": "city"}],
        }
        yield (
            f"h{number}".encode(),
            orjson.dumps({"format": 1, "revision": 1, "definition": definition}),
        )


def _reports(hooks: int, group: str, now: float) -> Iterator[tuple[bytes, bytes]]:
    for hour in range(_HOURS):
        text = datetime.fromtimestamp(now - hour * 3600, UTC).strftime("%Y-%m-%dT%H")
        for number in range(hooks):
            report = ReportRecord(
                hook=f"h{number}", hour=text, replica="replica-1", delivered=90, retried=5,
                dead_lettered={"exhausted": 1}, attempts={"2xx": 90, "5xx": 6},
                latency=[2] * (len(ATTEMPT_BUCKETS) + 1), bounds=ATTEMPT_BUCKETS,
            )  # fmt: skip
            yield f"h{number}|{text}|replica-1".encode(), report_value(report, group)


def _log(hooks: int, records: int, now: float) -> Iterator[tuple[bytes, bytes]]:
    for index in range(records):
        at = datetime.fromtimestamp(now - (records - index) / 1_000, UTC)
        hook = f"h{index % hooks}"
        record = DeliveryRecord(
            at=at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            delivery=f"e{index}:{hook}",
            hook=hook,
            event=f"e{index}",
            source=f"event/0/{index}",
            attempt=1,
            status=204 if index % 10 else 503,
            ms=Phases(all=12.5),
            outcome=Followed.DELIVERED if index % 10 else Followed.DEAD_LETTER,
            reason=None if index % 10 else "exhausted",
            replica="replica-1",
        )
        yield hook.encode(), delivery_value(record)


async def _fill(workspace: Workspace, hooks: int, records: int) -> None:
    cluster, now = workspace.cluster, time.time()
    compacted = {"cleanup.policy": "compact"}
    definitions, audit, status = workspace.live_topics
    log, reports = workspace.log_topics
    await workspace.create_topics()
    await cluster.create([definitions, status], partitions=1, configs=compacted)
    await cluster.create([audit], partitions=1, configs={"retention.ms": "-1"})
    await cluster.create([log, reports], partitions=4)
    for topic, content in (
        (definitions, _definitions(hooks)),
        (reports, _reports(hooks, workspace.group, now)),
        (log, _log(hooks, records, now)),
    ):
        async with cluster.producer(linger_ms=20) as producer:
            for key, value in content:
                await producer.send(topic, value, key=key)
            await producer.flush()
    await cluster.produce(
        workspace.topic("event"), [event(f"e{n}", f"key-{n}") for n in range(_EVENTS)]
    )


async def _measure(server: KafkaServer, folder: Path, hooks: int, records: int) -> dict[str, Any]:
    """Milliseconds (median and longest), those of CPU (the least), and KiB of each page."""
    workspace = Workspace(folder, Cluster(server.bootstrap), f"pages{hooks}")
    await _fill(workspace, hooks, records)
    workspace.write_settings(hooks={"live": True}, panel={"port": 0, "tokens": token_entries()})
    found = {}
    async with (
        PanelProcess(workspace.config) as panel,
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKENS['operator']}"}) as session,
    ):

        async def load(path: str) -> tuple[int, bytes]:
            form = _FORM if path in _FRAGMENTS.values() else None
            method = "GET" if form is None else "POST"
            url = URL(f"{panel.url}{path}", encoded=True)
            async with session.request(method, url, data=form) as answer:
                return answer.status, await answer.read()

        async def is_loaded() -> bool:
            status, page = await load("/hooks?q=h7")
            return status == HTTPStatus.OK and b"90" in page and b"h7" in page

        async with session.post(
            f"{panel.url}/api/v1/session", json={"token": TOKENS["operator"]}
        ) as answer:
            answer.raise_for_status()
        began = time.monotonic()
        await wait_until(is_loaded, "the panel to have read everything", patience=_LOADED_SECONDS)
        print(f"{hooks:,} hooks: read within {time.monotonic() - began:.1f} s")
        for name, path in {**_PATHS, **_FRAGMENTS}.items():
            times, cpu, size = [], [], 0
            for _ in range(_ROUNDS):
                at, cpu_at = time.monotonic(), panel.cpu_seconds
                status, page = await load(path)
                times.append((time.monotonic() - at) * 1000)
                cpu.append((panel.cpu_seconds - cpu_at) * 1000)
                size = len(page)
                if status != HTTPStatus.OK:
                    print(f"{name}: {status}")
            found[name] = (median(times), max(times), min(cpu), size / 1024)
    return found


def main() -> None:
    """Start a broker, fill it twice, load each page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hooks", type=int, default=10_000)
    parser.add_argument("--records", type=int, default=200_000)
    options = parser.parse_args()
    with TemporaryDirectory() as name, KafkaServer(kafka_jars(), Path(name) / "kafka") as server:
        for hooks in (_FEW, options.hooks):
            (Path(name) / str(hooks)).mkdir()
        few, many = (
            asyncio.run(_measure(server, Path(name) / str(hooks), hooks, options.records))
            for hooks in (_FEW, options.hooks)
        )
    print(f"{'page':<24}{'ms':>8}{'most':>8}{'CPU':>8}{'KiB':>8}   with {_FEW} hooks: ms, ratio")
    for name, (middle, most, cpu, size) in many.items():
        before = few[name][0]
        figures = f"{middle:>8.0f}{most:>8.0f}{cpu:>8.0f}{size:>8.0f}"
        print(f"{name:<24}{figures}{before:>16.0f}{middle / before:>8.1f}")


if __name__ == "__main__":
    main()
