"""Dead letters over the API and on a real broker: listed backwards, counted, replayed once."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import orjson
import pytest
from aiokafka.errors import UnknownMemberIdError
from aiokafka.protocol.group import HeartbeatRequest

from consumer.clock import SystemClock
from consumer.configuration import read_settings
from consumer.errors import HookstreamError
from consumer.panel.panel import Panel
from consumer.services.dead_letters import Replay, ReplayedMeanwhileError, choose
from consumer.stream.group_lock import GroupLock
from consumer.stream.replay import Plan
from support.dead_letters import WrittenDeadLetter, exhausted, metadata, write_dead_letters
from support.panel import Client, Reply, running_panel, token_entries
from support.waiting import wait_until
from support.workspace import Workspace, hook

NDJSON = {"Accept": "application/x-ndjson"}
T0 = 1_790_000_000_000


@pytest.fixture
async def panel(workspace: Workspace) -> AsyncIterator[Panel]:
    """A panel with hooks in files, and all topics."""
    await workspace.create_topics()
    await workspace.create_own_topics()
    workspace.write_settings(panel={"port": 0, "tokens": token_entries()})
    workspace.write_hooks(hook("a", "https://a.example.com"), hook("b", "https://b.example.com"))
    async with running_panel(workspace.config) as panel:
        yield panel


@pytest.fixture
def client(panel: Panel) -> Client:
    """An operator."""
    return Client(panel.url)


def _lines(reply: Reply) -> list[Mapping[str, Any]]:
    assert reply.headers["Content-Type"] == "application/x-ndjson", reply.body
    return [orjson.loads(line) for line in reply.body.splitlines()]


async def _write_dead_letters(workspace: Workspace) -> None:
    written = [
        *exhausted(range(3), "a"),
        *exhausted(range(2), "b"),
        WrittenDeadLetter(metadata(9, hook="a", reason="blocked"), value=None),
    ]
    await write_dead_letters(workspace.cluster, workspace.dead_letter_topic, written)


async def test_dead_letters_are_listed_and_replayed_by_count(
    workspace: Workspace, client: Client
) -> None:
    """The list counts all that match and what a replay would send; a replay with another count is
    refused with the right one, and one with it sends exactly these.
    """
    await _write_dead_letters(workspace)
    listed = (await client("GET", "/dead-letters?hook=a&limit=2")).json
    assert (len(listed["dead_letters"]), listed["total"]) == (2, 4)
    assert {(one["reason"], one["count"]) for one in listed["counts"]} == {
        ("exhausted", 3), ("blocked", 1),
    }  # fmt: skip
    assert listed["replayable"]["count"] == 3
    assert sum(listed["replayable"]["not_replayable"].values()) == 1
    assert listed["dead_letters"][-1]["delivery"] == "e2:a"
    assert "key" not in listed["dead_letters"][0]
    body = {"hook": "a", "expected": 4}
    refused = await client("POST", "/dead-letters:replay", body)
    assert (refused.status, refused.kind, refused.json["count"]) == (409, "count", 3)
    retry = workspace.retry_topics[0]
    assert await workspace.cluster.read(retry) == []
    done = await client("POST", "/dead-letters:replay", {**body, "expected": 3})
    assert done.json == {"sent": 3, "total": 3, "done": True}
    assert len(await workspace.cluster.read(retry)) == 3
    again = (await client("GET", "/dead-letters?hook=a")).json["replayable"]
    assert (again["count"], again["sent_before"]) == (0, 3)
    wrong = await client("GET", "/dead-letters?reason=exhaust")
    assert (wrong.status, wrong.json["problems"][0]["field"]) == (422, "reason")


async def test_a_replay_tells_its_progress(workspace: Workspace, client: Client) -> None:
    """A replay whose client takes lines tells what is sent after each batch, and its end; one with
    another count is refused with its status also then.
    """
    many = exhausted(range(250), "a")
    await write_dead_letters(workspace.cluster, workspace.dead_letter_topic, many)
    body = {"hook": "a", "expected": 250}
    wrong = {**body, "expected": 249}
    assert (await client("POST", "/dead-letters:replay", wrong, headers=NDJSON)).status == 409
    lines = _lines(await client("POST", "/dead-letters:replay", body, headers=NDJSON))
    assert [line["sent"] for line in lines] == [100, 200, 250, 250]
    assert [line["done"] for line in lines] == [False, False, False, True]


async def test_a_replay_ends_with_its_client(workspace: Workspace, panel: Panel) -> None:
    """A replay whose client goes away ends behind a batch, and another one sends the rest: none
    twice, none left.
    """
    many = exhausted(range(2_000), "a")
    await write_dead_letters(workspace.cluster, workspace.dead_letter_topic, many)
    client = Client(panel.url)
    url, body = f"{panel.url}/api/v1/dead-letters:replay", {"hook": "a", "expected": 2_000}
    headers = {**client.headers, **NDJSON}
    async with aiohttp.ClientSession() as session:
        async with session.post(url, json=body, headers=headers) as answer:
            first = orjson.loads(await answer.content.readline())
        assert first == {"sent": 100, "total": 2_000, "done": False}

    async def rest() -> int:
        before = (await client("GET", "/dead-letters?hook=a&limit=1")).json["replayable"]
        now = (await client("GET", "/dead-letters?hook=a&limit=1")).json["replayable"]
        return int(now["count"]) if before == now else 0

    left = await wait_until(rest, "the end of the replay")
    assert left < 2_000 - 100
    done = await client("POST", "/dead-letters:replay", {**body, "expected": left})
    assert done.json["sent"] == left
    assert len(await workspace.cluster.read(workspace.retry_topics[0])) == 2_000


async def test_dead_letters_are_read_backwards_page_by_page(
    workspace: Workspace, client: Client
) -> None:
    """Dead letters come newest first, each once, page by page, with the horizon that was searched;
    a page behind a cursor counts nothing, and a cursor of other filters is refused.
    """
    written = [
        WrittenDeadLetter(metadata(number, hook="ab"[number % 2]), timestamp_ms=T0 + number * 1_000)
        for number in range(40)
    ]
    written.append(WrittenDeadLetter(metadata(99), group="another", timestamp_ms=T0 + 99_000))
    await write_dead_letters(workspace.cluster, workspace.dead_letter_topic, written)
    found, cursor, pages = list[str](), "", 0
    while cursor is not None:
        more = f"&cursor={cursor}" if cursor else ""
        page = (await client("GET", f"/dead-letters?hook=a&limit=6{more}")).json
        assert page["total"] == (None if cursor else 20)
        assert (page["replayable"] is None) == bool(cursor)
        found += [one["delivery"] for one in page["dead_letters"]]
        cursor, pages = page["horizon"]["cursor"], pages + 1
    assert found == [f"e{number}:a" for number in range(38, -1, -2)]
    assert pages == 4
    assert page["horizon"]["end"] == "beginning"
    first = (await client("GET", "/dead-letters?limit=1&count=false")).json
    assert (first["total"], first["counts"], first["others"]) == (None, [], {"another": 1})
    assert first["horizon"]["records"] < len(written) + 1
    foreign = await client("GET", f"/dead-letters?hook=a&cursor={first['horizon']['cursor']}")
    assert (foreign.status, foreign.json["problems"][0]["field"]) == (422, "cursor")


async def test_a_replay_gets_the_count_of_again_and_the_moment_of_since(
    workspace: Workspace, client: Client
) -> None:
    """The list tells what a replay with `again` would send, and the moment that a relative `since`
    was, so that a replay by them sends what was counted.
    """
    await write_dead_letters(workspace.cluster, workspace.dead_letter_topic, exhausted(range(5)))
    listed = (await client("GET", "/dead-letters?hook=a&since=1h")).json
    body = {"hook": "a", "since": listed["since"], "expected": 5}
    assert listed["replayable"]["count"] == 5
    assert (await client("POST", "/dead-letters:replay", body)).json["sent"] == 5
    listed = (await client("GET", "/dead-letters?hook=a")).json["replayable"]
    again = (await client("GET", "/dead-letters?hook=a&again=true")).json["replayable"]
    assert (listed["count"], again["count"]) == (0, 5)
    repeated = await client("POST", "/dead-letters:replay", {**body, "again": True})
    assert repeated.json["sent"] == 5


async def test_of_replays_at_once_one_is_refused(workspace: Workspace, client: Client) -> None:
    """Of replays that begin at once one sends, and the others are refused with 409 and a sentence:
    each dead letter is sent once.
    """
    many = exhausted(range(1_000), "a")
    await write_dead_letters(workspace.cluster, workspace.dead_letter_topic, many)
    body = {"hook": "a", "expected": 1_000}
    asked = [client("POST", "/dead-letters:replay", body) for _ in range(4)]
    answers = await asyncio.gather(*asked)
    assert sorted(answer.status for answer in answers) == [200, 409, 409, 409]
    refused = {answer.kind for answer in answers if answer.status == 409}
    assert refused <= {"replaying", "replayed", "count"}
    assert len(await workspace.cluster.read(workspace.retry_topics[0])) == 1_000


async def test_a_replay_waits_for_no_other(workspace: Workspace, client: Client) -> None:
    """While one process replays, every other replay of the installation is refused, whatever its
    filter, and says so; afterwards the same request sends.
    """
    await write_dead_letters(workspace.cluster, workspace.dead_letter_topic, exhausted(range(3)))
    settings, _ = read_settings(workspace.config)
    wanted = [{"hook": "a", "expected": 3}, {"expected": 3}, {"expected": 3, "again": True}]
    async with GroupLock(settings.kafka, f"{workspace.group}.replay.lock", SystemClock()):
        for body in wanted:
            refused = await client("POST", "/dead-letters:replay", body)
            assert (refused.status, refused.kind) == (409, "replaying")
            assert "another replay is under way" in refused.json["detail"]
        assert await workspace.cluster.read(workspace.retry_topics[0]) == []
    assert (await client("POST", "/dead-letters:replay", wanted[0])).json["sent"] == 3


class _Hanging:
    """A producer whose broker does not acknowledge."""

    def __init__(self, *_: object) -> None:
        """As `KafkaProducer`."""

    async def send(self, *_: object) -> None:
        """Wait for ever."""
        await asyncio.Event().wait()

    async def reset(self) -> None:
        """As it does."""


@pytest.mark.usefixtures("panel")
async def test_a_batch_ends_with_the_lock(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replay that loses its lock while a batch is under way breaks off at once, and what the
    batch had is left for another replay.
    """
    await write_dead_letters(workspace.cluster, workspace.dead_letter_topic, exhausted(range(3)))
    settings, _ = read_settings(workspace.config)
    selection, asked = choose("a", None, None, SystemClock()), GroupLock._ask

    async def ask(lock: GroupLock, request: Any, **options: Any) -> Any:
        if isinstance(request, HeartbeatRequest):
            raise UnknownMemberIdError
        return await asked(lock, request, **options)

    replay = Replay(settings, selection, limit=None, again=False)
    with monkeypatch.context() as broken:
        broken.setattr("consumer.stream.group_lock._HEARTBEAT_SECONDS", 0.5)
        broken.setattr(GroupLock, "_ask", ask)
        broken.setattr("consumer.services.dead_letters.KafkaProducer", _Hanging)
        plan = await replay.plan()
        with pytest.raises(HookstreamError, match=r"did not hear of this process.* 0 of 3 sent"):
            await replay.send(plan, stopped=lambda: False, advanced=lambda _: None)
    plan = await replay.plan()
    assert await replay.send(plan, stopped=lambda: False, advanced=lambda _: None) == 3


@pytest.mark.usefixtures("panel")
async def test_a_replay_of_an_old_count_is_refused(workspace: Workspace) -> None:
    """A replay whose count was made before another one sent the same sends nothing, with `again`
    neither.
    """
    await write_dead_letters(workspace.cluster, workspace.dead_letter_topic, exhausted(range(3)))
    settings, _ = read_settings(workspace.config)
    selection = choose("a", None, None, SystemClock())

    async def send(plan: Plan, *, again: bool) -> int:
        replay = Replay(settings, selection, limit=None, again=again)
        return await replay.send(plan, stopped=lambda: False, advanced=lambda _: None)

    replay = Replay(settings, selection, limit=None, again=False)
    first, second = await replay.plan(), await replay.plan()
    of_all = await Replay(settings, selection, limit=None, again=True).plan()
    assert await send(first, again=False) == 3
    with pytest.raises(ReplayedMeanwhileError, match="nothing was sent"):
        await send(second, again=False)
    with pytest.raises(ReplayedMeanwhileError, match="nothing was sent"):
        await send(of_all, again=True)
