"""What happened, over the API and on a real broker: deliveries, reports, events, dead letters."""

import time
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from consumer.journal.records import (
    ReportRecord,
    hash_user,
    report_key,
    report_value,
    user_key,
)
from consumer.panel.panel import Panel
from support.delivery_log import log_record, write_log
from support.panel import Client, Reply, running_panel, token_entries
from support.workspace import Workspace, event, hook

NDJSON = {"Accept": "application/x-ndjson"}
T0 = 1_790_000_000_000
PARTITIONS = 2
CANARY = "canary-of-a-user"


@pytest.fixture
async def panel(workspace: Workspace) -> AsyncIterator[Panel]:
    """A panel with hooks in files, and all topics."""
    names = [f"{workspace.topic_prefix}.{name}" for name in ("deliveries", "reports")]
    await workspace.create_topics()
    await workspace.create_own_topics()
    await workspace.cluster.create(names, partitions=PARTITIONS)
    workspace.write_settings(panel={"port": 0, "tokens": token_entries()})
    workspace.write_hooks(hook("a", "https://a.example.com"), hook("b", "https://b.example.com"))
    async with running_panel(workspace.config) as panel:
        yield panel
    await workspace.cluster.delete(names)


@pytest.fixture
def client(panel: Panel) -> Client:
    """An operator."""
    return Client(panel.url)


def _lines(reply: Reply) -> list[Mapping[str, Any]]:
    assert reply.headers["Content-Type"] == "application/x-ndjson", reply.body
    return [orjson.loads(line) for line in reply.body.splitlines()]


async def test_the_delivery_log_is_searched_by_page_and_by_line(
    workspace: Workspace, client: Client
) -> None:
    """Deliveries come newest first, by filter and page, with the horizon that was searched; as
    lines they come as they are found. A wrong filter and a cursor of another search are refused.
    """
    key = user_key(None, workspace.group, workspace.topic_prefix)
    records = [
        log_record("a", 1, T0, user=hash_user(key, CANARY)),
        log_record("b", 2, T0 + 1_000, status=503, outcome="retry"),
        log_record("a", 3, T0 + 2_000, attempt=0, status=None, ms=None, outcome="dead_letter",
                   reason="rejected"),
    ]  # fmt: skip
    topic = f"{workspace.topic_prefix}.deliveries"
    await write_log(workspace.cluster, topic, records, partitions=PARTITIONS)
    first = (await client("GET", "/deliveries?limit=2")).json
    assert [one["event"] for one in first["deliveries"]] == ["e3", "e2"]
    assert first["deliveries"][0]["ms"] is None
    assert first["horizon"]["end"] == "limit"
    cursor = first["horizon"]["cursor"]
    rest = (await client("GET", f"/deliveries?limit=2&cursor={cursor}")).json
    assert [one["event"] for one in rest["deliveries"]] == ["e1"]
    assert (rest["horizon"]["end"], rest["horizon"]["cursor"]) == ("beginning", None)
    by_user = await client("GET", f"/deliveries?user={CANARY}")
    assert [one["event"] for one in by_user.json["deliveries"]] == ["e1"]
    assert CANARY not in by_user.body.decode()
    viewer = Client(client.url, "viewer")
    rows = [
        *(await viewer("GET", "/deliveries")).json["deliveries"],
        *(one["delivery"] for one in _lines(await viewer("GET", "/deliveries", headers=NDJSON))),
    ]
    assert [one["user"] for one in rows if one is not None] == [None] * 6
    assert by_user.json["deliveries"][0]["user"] == hash_user(key, CANARY)
    lines = _lines(await client("GET", "/deliveries?hook=a", headers=NDJSON))
    found = [line["delivery"]["event"] for line in lines if line["delivery"] is not None]
    assert found == ["e3", "e1"]
    assert lines[-1]["horizon"]["end"] == "beginning"
    of_no_hook = (await client("GET", "/deliveries?hook=gone")).json
    assert of_no_hook["note"] == "no hook has this id; its rows may still be in the log"
    as_lines = _lines(await client("GET", "/deliveries?hook=gone", headers=NDJSON))
    assert as_lines[-1]["note"] == of_no_hook["note"]
    assert (first["note"], lines[0]["note"], lines[-1]["note"]) == (None, None, None)
    for query, field in (
        ("outcome=lost", "outcome"), ("status=9", "status"), ("since=noon", "since"),
        ("evnt=1", "evnt"), (f"hook=a&cursor={cursor}", "cursor"), ("limit=0", "limit"),
    ):  # fmt: skip
        for headers in ({}, NDJSON):
            refused = await client("GET", f"/deliveries?{query}", headers=headers)
            assert refused.status == 422, query
            assert [one["field"] for one in refused.json["problems"]] == [field]


async def test_reports_are_sums_over_replicas(workspace: Workspace, client: Client) -> None:
    """Reports sum the replicas' counts by hook and step."""
    async with workspace.cluster.producer() as producer:
        for replica in ("r-1", "r-2"):
            one = ReportRecord(
                hook="a", hour="2026-09-21T14", replica=replica, delivered=3, retried=1,
                attempts={"2xx": 3, "5xx": 1}, latency=(4, 0), bounds=(1.0,),
                dead_lettered={"permanent": 2},
            )  # fmt: skip
            key = report_key(one.hook, one.hour, replica)
            topic = f"{workspace.topic_prefix}.reports"
            await producer.send_and_wait(topic, report_value(one, workspace.group), key=key)
    query = "since=2026-09-21T14:00:00Z&until=2026-09-21T16:00:00Z"
    [report] = (await client("GET", f"/reports?{query}")).json["reports"]
    assert (report["delivered"], report["dead_lettered"]) == (6, {"permanent": 4})
    assert report["success_share"] == 0.75
    assert report["ms"].keys() == {"p50", "p95", "p99"}
    assert (await client("GET", "/reports?step=1w")).status == 422


async def test_recent_events_show_values_to_editors_only(
    workspace: Workspace, panel: Panel
) -> None:
    """The names in recent events are shown to viewers, examples of their values to editors only."""
    topic = workspace.topic("event")
    await workspace.cluster.produce(topic, [event("e1", price=CANARY), event("e2", "other")])
    for role, shown in (("viewer", False), ("editor", True), ("operator", True)):
        answer = await Client(panel.url, role)("GET", "/triggers/event/recent")
        assert answer.json["events"] == 2
        assert {one["name"] for one in answer.json["subjects"]} == {"k", "other"}
        names = {one["name"]: one["examples"] for one in answer.json["parts"]["data"]}
        assert names.keys() == {"event_key", "price"}
        assert (CANARY in answer.body.decode()) is shown, role
    assert (await Client(panel.url)("GET", "/triggers/none/recent")).status == 404


async def test_a_definition_is_tried_on_recent_events(workspace: Workspace, client: Client) -> None:
    """A definition is tried on the last events: how many fire, and what stops or rejects others."""
    topic = workspace.topic("event")
    await workspace.cluster.produce(topic, [event(f"e{n}", "ab"[n % 2]) for n in range(5)])
    definition = hook("new", "https://a.example.com", select=["a"])
    found = (await client("POST", "/hooks:replay-recent", {"definition": definition})).json
    counts = {(one["result"], one["why"]): one["count"] for one in found["outcomes"]}
    assert counts == {("fires", ""): 3, ("stopped", "select"): 2}
    one = (await client("POST", "/hooks:replay-recent", {"hook": "a", "count": 2})).json
    assert (one["events"], one["outcomes"][0]["count"]) == (2, 2)
    for count in (0, 1_001):
        body = {"hook": "a", "count": count}
        assert (await client("POST", "/hooks:replay-recent", body)).status == 422


async def test_a_list_of_hooks_has_the_counts_of_a_day(
    workspace: Workspace, client: Client
) -> None:
    """Each hook in the list has its counts of the last 24 hours."""
    hour = datetime.fromtimestamp(time.time(), UTC).strftime("%Y-%m-%dT%H")
    one = ReportRecord(
        hook="a", hour=hour, replica="r-1", delivered=7, retried=2, attempts={"2xx": 7, "5xx": 2},
        dead_lettered={"permanent": 1, "expired": 3}, latency=(9, 0), bounds=(1.0,),
    )  # fmt: skip
    async with workspace.cluster.producer() as producer:
        topic, key = f"{workspace.topic_prefix}.reports", report_key(one.hook, hour, "r-1")
        await producer.send_and_wait(topic, report_value(one, workspace.group), key=key)
    listed = {one["hook"]: one["day"] for one in (await client("GET", "/hooks")).json["hooks"]}
    expected = {"delivered": 7, "retried": 2, "overflowed": 0, "dead_lettered": 4, "attempts": 9}
    nothing = dict.fromkeys(expected, 0)
    assert listed == {"a": expected, "b": nothing}
    assert (await client("GET", "/hooks/a")).json["day"] == expected
