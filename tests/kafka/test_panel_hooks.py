"""Hooks over the API, on a real broker."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from consumer.panel.panel import Panel
from consumer.services import audit
from support.daemon import InProcess
from support.panel import Client, running_panel, token_entries
from support.waiting import wait_until
from support.workspace import Workspace, hook

NAME = "h-1"
FIRST = hook(NAME, "https://a.example.com", name="İlk")


@pytest.fixture
async def live(workspace: Workspace) -> Workspace:
    """A workspace with the topics of live definitions, and a panel's settings."""
    await workspace.create_live_topics()
    workspace.write_settings(
        hooks={"path": "", "live": True}, panel={"port": 0, "tokens": token_entries()}
    )
    return workspace


@pytest.fixture
async def panel(live: Workspace) -> AsyncIterator[Panel]:
    """A panel."""
    async with running_panel(live.config) as panel:
        yield panel


@pytest.fixture
def client(panel: Panel) -> Client:
    """An operator."""
    return Client(panel.url)


async def test_a_hook_is_created_changed_rolled_back_and_deleted(client: Client) -> None:
    """A hook goes through every change, each with its revision as ETag; the history has them all,
    with who, when and what differs.
    """
    created = await client("POST", "/hooks?comment=first", FIRST)
    assert (created.status, created.headers["ETag"]) == (201, '"1"'), created.body
    assert created.headers["Location"] == f"/api/v1/hooks/{NAME}"
    shown = await client("GET", f"/hooks/{NAME}")
    assert (shown.status, shown.headers["ETag"]) == (200, '"1"')
    assert shown.json["definition"] == FIRST
    assert (shown.json["state"], shown.json["source"], shown.json["by"]) == (
        "on",
        "live",
        "operator",
    )
    second = {**FIRST, "timeout": "5s"}
    changed = await client("PUT", f"/hooks/{NAME}", second, headers={"If-Match": '"1"'})
    assert (changed.status, changed.headers["ETag"]) == (200, '"2"')
    assert changed.json["fields"] == [{"field": "timeout", "before": None, "after": "5s"}]
    same = await client("PUT", f"/hooks/{NAME}", second, headers={"If-Match": '"2"'})
    assert (same.status, same.headers["ETag"], same.json["fields"]) == (200, '"2"', [])
    assert (same.json["action"], same.json["revision"]) == ("unchanged", 2)
    back = await client("POST", f"/hooks/{NAME}/rollback", {"revision": 1})
    assert (back.status, back.headers["ETag"], back.json["action"]) == (200, '"3"', "restored")
    gone = await client("DELETE", f"/hooks/{NAME}", headers={"If-Match": '"3"'})
    assert (gone.status, gone.json["action"], gone.json["revision"]) == (200, "deleted", 4)
    assert (await client("GET", f"/hooks/{NAME}")).status == 404
    told = (await client("GET", f"/hooks/{NAME}/history")).json["revisions"]
    assert [(one["revision"], one["action"], one["by"]) for one in told] == [
        (4, "deleted", "operator"),
        (3, "restored", "operator"),
        (2, "changed", "operator"),
        (1, "created", "operator"),
    ]
    assert told[3]["comment"] == "first"


async def test_of_two_editors_at_once_one_gets_412(client: Client) -> None:
    """Of two changes of the same revision at the same moment one is made; the other is refused with
    the newer revision.
    """
    await client("POST", "/hooks", FIRST)
    both = await asyncio.gather(
        *(
            client("PUT", f"/hooks/{NAME}", {**FIRST, "name": name}, headers={"If-Match": '"1"'})
            for name in ("one", "other")
        )
    )
    assert sorted(one.status for one in both) == [200, 412], [one.body for one in both]
    [late] = [one for one in both if one.status == 412]
    assert (late.kind, late.json["revision"]) == ("newer-revision", 2)
    assert (await client("GET", f"/hooks/{NAME}")).json["revision"] == 2


async def test_a_write_needs_to_know_what_it_replaces(client: Client) -> None:
    """A change without If-Match is refused with 428, one of an older revision with 412, one of a
    hook that is not there with 404, and a second creation with 409; a bad ETag is a bad request.
    """
    await client("POST", "/hooks", FIRST)
    assert (await client("PUT", f"/hooks/{NAME}", FIRST)).status == 428
    assert (await client("DELETE", f"/hooks/{NAME}")).status == 428
    for etag, status in (('"7"', 412), ("7", 400), ('W/"1"', 400)):
        answer = await client("PUT", f"/hooks/{NAME}", FIRST, headers={"If-Match": etag})
        assert answer.status == status
    other = {**FIRST, "id": "other"}
    assert (await client("PUT", "/hooks/other", other, headers={"If-Match": '"1"'})).status == 404
    again = await client("POST", "/hooks", FIRST)
    assert (again.status, again.kind) == (409, "exists")


async def test_a_dry_run_writes_nothing(client: Client) -> None:
    """A dry run answers what would be, and what would be refused, and writes nothing."""
    planned = await client("POST", "/hooks?dry_run=true", FIRST)
    assert (planned.status, planned.json["action"]) == (200, "created")
    assert planned.json["revision"] is None
    assert (await client("GET", "/hooks")).json["total"] == 0
    await client("POST", "/hooks", FIRST)
    second = {**FIRST, "timeout": "5s"}
    for etag, status in (('"1"', 200), ('"9"', 412)):
        answer = await client(
            "PUT", f"/hooks/{NAME}?dry_run=true", second, headers={"If-Match": etag}
        )
        assert answer.status == status
    assert (await client("GET", f"/hooks/{NAME}")).json["revision"] == 1


async def test_a_bad_definition_is_refused_field_by_field(client: Client) -> None:
    """A definition with problems is refused with each of them: field, message and hint."""
    bad = {"id": NAME, "trigger": "evnt", "uri": "ftp://a.example.com", "timeuot": "5s"}
    for path in ("/hooks", "/hooks:check"):
        answer = await client("POST", path, bad)
        assert answer.status == 422
        problems = {one["field"]: one for one in answer.json["problems"]}
        assert problems.keys() == {"trigger", "uri", "timeuot"}
        assert "timeout" in problems["timeuot"]["hint"]
    assert (await client("POST", "/hooks:check", FIRST)).json["hook"] == NAME


async def test_hooks_are_listed_by_page_and_filter(client: Client) -> None:
    """The list has pages, and filters by text, trigger and state."""
    for number in range(5):
        await client("POST", "/hooks", hook(f"p-{number}", "https://a.example.com"))
    await client(
        "POST", "/hooks", hook("off", "https://b.example.com", enabled=False, trigger="geofence")
    )
    page = (await client("GET", "/hooks?limit=4")).json
    assert [one["hook"] for one in page["hooks"]] == ["off", "p-0", "p-1", "p-2"]
    rest = (await client("GET", f"/hooks?limit=4&cursor={page['next']}")).json
    assert [one["hook"] for one in rest["hooks"]] == ["p-3", "p-4"]
    assert (rest["total"], rest["next"]) == (6, None)
    for query in ("state=off", "trigger=geofence", "q=B.EXAMPLE"):
        found = (await client("GET", f"/hooks?{query}")).json
        assert [one["hook"] for one in found["hooks"]] == ["off"], query
    wrong = await client("GET", "/hooks?stat=off")
    assert (wrong.status, wrong.json["problems"][0]["field"]) == (422, "stat")


async def test_a_hook_of_a_file_is_read_only(live: Workspace) -> None:
    """A hook in a file is shown with its file and cannot be changed here; one that the topic has as
    well is a problem, and the file's is shown.
    """
    live.write_settings(hooks={"live": True}, panel={"port": 0, "tokens": token_entries()})
    live.write_hooks(hook("in-file", "https://a.example.com"))
    async with running_panel(live.config) as panel:
        client = Client(panel.url)
        shown = await client("GET", "/hooks/in-file")
        assert (shown.status, shown.json["source"], shown.json["revision"]) == (200, "file", None)
        assert shown.json["file"].endswith("hooks.yaml:1")
        assert "ETag" not in shown.headers
        definition = hook("in-file", "https://b.example.com")
        for method, path in (("POST", "/hooks"), ("PUT", "/hooks/in-file")):
            answer = await client(method, path, definition, headers={"If-Match": "*"})
            assert answer.status == 409
        await client("POST", "/hooks", FIRST)
        live.write_hooks(hook(NAME, "https://c.example.com"))
        both = (await client("GET", f"/hooks/{NAME}")).json
        assert (both["source"], both["state"]) == ("file", "problem")
        assert "revision 1" in both["problem"]


@asynccontextmanager
async def _two_panels(live: Workspace) -> AsyncIterator[tuple[Client, Client]]:
    async with running_panel(live.config) as one, running_panel(live.config) as other:
        yield Client(one.url), Client(other.url)


async def test_two_panels_answer_as_one(live: Workspace) -> None:
    """What one panel has written, another one answers at once, and a session of one is one of the
    other.
    """
    async with _two_panels(live) as (one, other):
        await one("POST", "/hooks", FIRST)
        for revision in range(1, 6):
            writer, reader = (one, other) if revision % 2 else (other, one)
            assert (await reader("GET", f"/hooks/{NAME}")).json["revision"] == revision
            changed = {**FIRST, "name": str(revision)}
            match = {"If-Match": f'"{revision}"'}
            assert (await writer("PUT", f"/hooks/{NAME}", changed, headers=match)).status == 200
        body = {"token": "token-of-a-editor"}
        session = await Client(one.url, None)("POST", "/session", body)
        cookie = {"Cookie": session.headers["Set-Cookie"].partition(";")[0]}
        seen = await Client(other.url, None)("GET", "/session", headers=cookie)
        assert (seen.json["name"], seen.json["how"]) == ("editor", "session")
        assert seen.json["csrf_token"] == session.json["csrf_token"]


async def test_a_daemon_tells_what_is_in_force_there(live: Workspace) -> None:
    """The list of replicas says that the newest definitions are in force at a daemon that runs, and
    a definition that it refuses is a problem in the list of hooks.
    """
    await live.create_topics()
    live.write_settings(
        hooks={"path": "", "live": True, "secrets": ["NOT_SET_ANYWHERE"]},
        panel={"port": 0, "tokens": token_entries()},
    )
    header = {"key": "X-A", "source": "fixed", "value": "${env:NOT_SET_ANYWHERE}"}
    async with running_panel(live.config) as panel, InProcess(live.config):
        client = Client(panel.url)
        assert (await client("POST", "/hooks", FIRST)).status == 201
        secret = hook("with-secret", "https://a.example.com", headers=[header])
        assert (await client("POST", "/hooks", secret)).status == 201

        async def told() -> bool:
            replicas = (await client("GET", "/replicas")).json["replicas"]
            return any(one["in_force"] and one["problem_count"] for one in replicas)

        await wait_until(told, "the daemon to tell its status")
        found = (await client("GET", "/hooks?state=problem")).json
        [listed] = found["hooks"]
        assert (listed["hook"], found["replicas"]) == ("with-secret", 1)
        assert "NOT_SET_ANYWHERE" in listed["problem"]


async def test_the_audit_is_found_by_hook_author_and_time(client: Client, panel: Panel) -> None:
    """The audit names every change, the newest first, by page and by filter."""
    editor = Client(panel.url, "editor")
    await client("POST", "/hooks", FIRST)
    for number in range(3):
        await editor("POST", "/hooks", hook(f"p-{number}", "https://a.example.com"))
    page = (await client("GET", "/audit?limit=3")).json
    assert [one["hook"] for one in page["changes"]] == ["p-2", "p-1", "p-0"]
    rest = (await client("GET", f"/audit?limit=3&before={page['next']}")).json
    assert ([one["hook"] for one in rest["changes"]], rest["next"]) == ([NAME], None)
    for query in (f"hook={NAME}", "by=operator", f"hook={NAME}&since=1h"):
        found = (await client("GET", f"/audit?{query}")).json["changes"]
        assert [one["hook"] for one in found] == [NAME], query
    assert (await client("GET", "/audit?since=0ms")).json["changes"] == []
    assert (await client("GET", "/audit?since=yesterday")).status == 422


async def test_an_audit_that_cannot_be_read_at_once_is_read_by_pages(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long the audit is, a search that is out of time answers with what it found, and with
    where the next page goes on: together they have every change once.
    """
    await client("POST", "/hooks", FIRST)
    for number in range(4):
        await client("POST", "/hooks", hook(f"p-{number}", "https://a.example.com"))
    monkeypatch.setattr(audit, "SEARCH_SECONDS", 0.0)
    monkeypatch.setattr(audit, "FIRST_OFFSETS", 2)
    found, path, pages = list[str](), "/audit?limit=100", 0
    while pages < 20:
        pages += 1
        page = (await client("GET", path)).json
        found += [one["hook"] for one in page["changes"]]
        if page["next"] is None:
            break
        path = f"/audit?limit=100&before={page['next']}"
    assert found == ["p-3", "p-2", "p-1", "p-0", NAME]
    assert pages > 1


async def test_a_hook_is_paused_and_resumed(client: Client) -> None:
    """A pause writes `enabled: false` as a revision, a resume takes it back; the second of either
    writes nothing, one of an older revision is refused, and a hook that is not there is not found.
    """
    await client("POST", "/hooks", FIRST)
    stale = await client("POST", f"/hooks/{NAME}/pause", headers={"If-Match": '"7"'})
    assert (stale.status, stale.kind) == (412, "newer-revision")
    paused = await client("POST", f"/hooks/{NAME}/pause", headers={"If-Match": '"1"'})
    assert (paused.status, paused.headers["ETag"]) == (200, '"2"'), paused.body
    assert paused.json["fields"] == [{"field": "enabled", "before": None, "after": "false"}]
    assert (await client("GET", f"/hooks/{NAME}")).json["state"] == "off"
    again = await client("POST", f"/hooks/{NAME}/pause")
    assert (again.status, again.json["action"], again.json["revision"]) == (200, "unchanged", 2)
    planned = await client("POST", f"/hooks/{NAME}/resume?dry_run=true")
    assert (planned.json["action"], planned.json["revision"]) == ("changed", None)
    resumed = await client("POST", f"/hooks/{NAME}/resume?comment=well+again")
    assert (resumed.status, resumed.json["revision"]) == (200, 3)
    assert (await client("GET", f"/hooks/{NAME}")).json["state"] == "on"
    told = (await client("GET", f"/hooks/{NAME}/history")).json["revisions"]
    assert [one["comment"] for one in told] == ["well again", "paused", ""]
    assert (await client("POST", "/hooks/other/pause")).status == 404
