"""A hook is paused and brought back over its page, beside a daemon at work, and no answer of the
API has its secret, on a real broker.
"""

import json
from collections.abc import AsyncIterator

import pytest

from support.daemon import Daemon
from support.panel import Client, Reply, running_panel, token_entries
from support.receiver import Receiver
from support.visitor import Visitor, field
from support.waiting import wait_until
from support.workspace import Workspace, hook

NAME = "orders"
CANARY = "whsec_Y2FuYXJ5LWNhbmFyeS1jYW5hcnktY2FuYXJ5"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver that answers 200."""
    async with Receiver() as receiver:
        yield receiver


async def _act(visitor: Visitor, action: str, query: str = "", **more: str) -> str:
    """Press the button of an action's page. Returns the page that it leads to."""
    path = f"/hooks/{NAME}/{action}"
    page = await visitor("GET", f"{path}{query}")
    assert page.status == 200, page.body
    form = {name: field(page, name) for name in ("csrf", "seen")} | more
    done = await visitor("POST", path, form)
    assert done.status == 303, done.body
    return done.headers["Location"]


async def test_a_pause_stops_requests_until_the_hook_is_resumed(
    workspace: Workspace, receiver: Receiver
) -> None:
    """After a pause over the page a running daemon sends nothing for new events, and after a resume
    it sends again; a rollback brings the earlier address back. The page tells when the replica has
    it.
    """
    workspace.write_settings(
        hooks={"path": "", "live": True}, panel={"port": 0, "tokens": token_entries()}
    )
    await workspace.create_topics()
    async with Daemon(workspace.config), running_panel(workspace.config) as panel:
        client = Client(panel.url)
        definition = hook(NAME, f"{receiver.origin}/first")
        assert (await client("POST", "/hooks", definition)).status == 201
        visitor = await Visitor(panel).log_in("operator")

        async def send(event_id: str) -> None:
            event = {"id": event_id, "data": {"event_key": "order"}}
            await workspace.cluster.produce(workspace.topic("event"), [json.dumps(event).encode()])

        async def is_in_force() -> bool:
            part = await visitor("GET", f"/hooks/{NAME}/in-force")
            return b"In force on 1 of 1 replica." in part.body

        await wait_until(is_in_force, "the first revision to be in force")
        await send("e1")
        await receiver.until(requests=1)
        assert await _act(visitor, "pause") == f"/hooks/{NAME}?done=pause"
        await wait_until(is_in_force, "the pause to be in force")
        await send("e2")
        assert await _act(visitor, "resume") == f"/hooks/{NAME}?done=resume"
        await wait_until(is_in_force, "the hook to be on again")
        await send("e3")
        await receiver.until(requests=2)
        second = {**definition, "uri": f"{receiver.origin}/second"}
        headers = {"If-Match": '"3"'}
        assert (await client("PUT", f"/hooks/{NAME}", second, headers=headers)).status == 200
        await _act(visitor, "rollback", "?revision=1", revision="1")
        await wait_until(is_in_force, "the rollback to be in force")
        await send("e4")
        await receiver.until(requests=3)
        ids = [_id_of(one) for one in receiver.requests]
        assert [one.partition(":")[0] for one in ids] == ["e1", "e3", "e4"]
        assert receiver.requests[2].startswith(b"GET /first")


def _id_of(request: bytes) -> str:
    """The `webhook-id` of a request."""
    [line] = [one for one in request.split(b"\r\n") if one.lower().startswith(b"webhook-id:")]
    return line.partition(b":")[2].strip().decode()


async def test_a_form_is_tried_on_the_topics_own_events(
    workspace: Workspace, receiver: Receiver
) -> None:
    """The sample, the effect and the test send of a form that is not saved are of the last events
    in the trigger's topic, and nothing is written.
    """
    workspace.write_settings(
        hooks={"path": "", "live": True}, panel={"port": 0, "tokens": token_entries()}
    )
    await workspace.create_topics()
    await workspace.create_live_topics()
    events = [
        {"id": f"e{index}", "user": {"id": f"u{index}"}, "data": {"event_key": key}}
        for index, key in enumerate(["order", "visit", "order"])
    ]
    await workspace.cluster.produce(
        workspace.topic("event"), [json.dumps(event).encode() for event in events]
    )
    async with running_panel(workspace.config) as panel:
        visitor = await Visitor(panel).log_in("editor")
        page = await visitor("GET", "/new-hook")
        form = {
            "csrf": field(page, "csrf"), "seen": "0", "name": "Orders", "trigger": "event",
            "uri": f"{receiver.origin}/orders", "select": "order", "method": "GET",
            "parameters.0.key": "uid", "parameters.0.source": "profile",
            "parameters.0.value": "id", "enabled": "on",
        }  # fmt: skip
        sample = (await visitor("POST", "/trial/sample", form)).body.decode()
        assert "/orders?uid=u2" in sample
        change = (await visitor("POST", "/trial/change", form)).body.decode()
        assert "It would fire for 2 of the last 3 events." in change
        test = (await visitor("POST", "/trial/test", form)).body.decode()
        assert "first byte" in test
        assert receiver.requests[0].startswith(b"GET /orders?uid=u2 ")
        assert (await Client(panel.url)("GET", "/hooks")).json["total"] == 0


async def test_no_answer_has_a_signing_secret(workspace: Workspace) -> None:
    """A signing secret that stands in plain is in no answer once it was written, neither the
    write's own nor one that refuses; the definition that an editor gets can be checked, tried and
    written back as it is, with the secret.
    """
    await workspace.create_live_topics()
    workspace.write_settings(
        hooks={"path": "", "live": True}, panel={"port": 0, "tokens": token_entries()}
    )
    async with running_panel(workspace.config) as panel:
        client = Client(panel.url)
        answers = await _answers_about_a_secret(client)
    for one in answers:
        assert CANARY.encode() not in one.body


async def _answers_about_a_secret(client: Client) -> list[Reply]:
    """All answers about a hook that signs, each of which is as it should be."""
    signed = {**hook(NAME, "http://127.0.0.1:1"), "signing_secrets": [CANARY]}
    answers = [await client("POST", "/hooks?dry_run=true", signed)]
    answers.append(await client("POST", "/hooks", signed))
    shown = await client("GET", f"/hooks/{NAME}")
    definition = shown.json["definition"]
    changed = {**definition, "name": "Yeni"}
    ask = {"definition": changed, "event": {"id": "e1"}}
    for path, body in (("check", changed), ("sample", ask), ("test", ask)):
        answers.append(await client("POST", f"/hooks:{path}", body))
    answers.append(await client("POST", "/hooks:replay-recent", {"definition": changed}))
    whole = await client("PUT", f"/hooks/{NAME}", definition, headers={"If-Match": '"1"'})
    assert (whole.json["action"], whole.headers["ETag"]) == ("unchanged", '"1"')
    made = await client("PUT", f"/hooks/{NAME}", changed, headers={"If-Match": '"1"'})
    assert [one["field"] for one in made.json["fields"]] == ["name"]
    answers += [shown, whole, made]
    answers += [await client("POST", f"/hooks/{NAME}/{word}") for word in ("pause", "resume")]
    answers.append(await client("POST", f"/hooks/{NAME}/rollback", {"revision": 1}))
    assert [one.status for one in answers if one.status not in {200, 201}] == []
    stale = {**definition, "signing_secrets": ["(hidden 0123456789abcdef)"]}
    refused = await client("PUT", f"/hooks/{NAME}", stale, headers={"If-Match": "*"})
    copied = await client("POST", "/hooks", {**definition, "id": "h-2"})
    for one in (refused, copied):
        assert one.status == 422
        assert [each["field"] for each in one.json["problems"]] == ["signing_secrets[0]"]
    answers += [refused, copied]
    answers.append(await client("GET", f"/hooks/{NAME}/history"))
    answers.append(await client("GET", "/audit"))
    return answers
