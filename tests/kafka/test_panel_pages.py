"""The pages of the panel beside a daemon at work, on a real broker."""

import json
from collections.abc import Awaitable, Callable

import aiohttp

from support.daemon import Daemon
from support.panel import TOKENS, running_panel, token_entries
from support.receiver import Receiver
from support.waiting import wait_until
from support.workspace import Workspace, hook

CANARY = "canary-of-a-user"
LIVE = {"live": True}


async def test_the_pages_tell_what_a_daemon_does(workspace: Workspace) -> None:
    """What a daemon matched, sent and counted is on each page soon after: the hooks, the log, a
    delivery's story, the reports, the events with the reasons, and the replica. A user's data is
    for editors only.
    """
    async with Receiver() as receiver:
        workspace.write_settings(
            hooks=LIVE,
            delivery_log={"successes": 1.0},
            panel={"port": 0, "tokens": token_entries()},
        )
        workspace.write_hooks(
            hook("fires", receiver.origin, name="Fires"),
            hook("selects-others", receiver.origin, select=["other"]),
        )
        await workspace.create_topics()
        async with Daemon(workspace.config), running_panel(workspace.config) as panel:
            event = {"id": "e1", "user": {"id": CANARY}, "data": {"event_key": "purchase"}}
            await workspace.cluster.produce(workspace.topic("event"), [json.dumps(event).encode()])
            await receiver.until(requests=1)
            viewer, editor = _reader(panel.url, "viewer"), _reader(panel.url, "editor")
            await _until(viewer, "/deliveries", "e1%3Afires")
            story = await viewer("/delivery?id=e1%3Afires&hook=fires")
            assert "It was delivered" in story
            await _until(viewer, "/reports?hook=fires", "The figures as a table")
            assert "e1" in await viewer("/hooks/fires")
            assert "Fires" in await viewer("/hooks?q=fires&state=on")
            await _until(viewer, "/replicas", "newest definitions in force")
            events = await viewer("/events?trigger=event")
            assert "purchase" in events
            assert "1 hook" in events
            [ref] = {part for part in events.split('"') if part.startswith("/event?")}
            explained = await viewer(ref.replace("&amp;", "&"))
            assert "It selects other events." in explained
            assert CANARY in await editor(ref.replace("&amp;", "&"))
            for page in (story, events, explained):
                assert CANARY not in page
            assert "There are no dead letters here" in await viewer("/dead-letters")
            assert "No change matches" in await viewer("/audit")


def _reader(url: str, role: str) -> Callable[[str], Awaitable[str]]:
    """Reads pages with a token, as a program may do, too."""

    async def read(path: str) -> str:
        headers = {"Authorization": f"Bearer {TOKENS[role]}", "Accept-Language": "en"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.get(f"{url}{path}") as answer,
        ):
            text = await answer.text()
            assert answer.status == 200, text
            return text

    return read


async def _until(read: Callable[[str], Awaitable[str]], path: str, text: str) -> None:
    async def is_there() -> bool:
        return text in await read(path)

    await wait_until(is_there, f"{text!r} on {path}")
