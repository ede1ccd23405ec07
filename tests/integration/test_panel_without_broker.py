"""A panel whose brokers are away: each request is answered soon, with a sentence."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from consumer.panel.panel import Panel
from support.bare_panel import write_panel
from support.panel import Client, Reply, running_panel, token_entries

DEFINITION = {"id": "h", "trigger": "event", "uri": "https://a.example.com"}
READS = (
    "/hooks", "/hooks/a", "/hooks/a/history", "/triggers/event/recent", "/compose?trigger=event",
    "/deliveries", "/reports", "/dead-letters", "/replicas", "/audit",
)  # fmt: skip
WRITES: tuple[tuple[str, str, Any, dict[str, str]], ...] = (
    ("POST", "/hooks", DEFINITION, {}),
    ("PUT", "/hooks/h", DEFINITION, {"If-Match": "*"}),
    ("DELETE", "/hooks/h", None, {"If-Match": "*"}),
    ("POST", "/hooks/h/rollback", {"revision": 1}, {}),
    ("POST", "/hooks:sample", {"hook": "h"}, {}),
    ("POST", "/hooks:replay-recent", {"definition": DEFINITION, "count": 5}, {}),
    ("POST", "/dead-letters:replay", {"expected": 0}, {}),
)
PAGES = (
    "/hooks", "/hooks/a", "/deliveries", "/delivery?id=e:a&hook=a", "/dead-letters",
    "/dead-letters/replay", "/events?trigger=event", "/event?trigger=event&ref=event/0/1",
    "/compose?trigger=event", "/replicas", "/audit", "/reports.csv", "/reports", "/reports?hook=a",
)  # fmt: skip


@pytest.fixture(params=["refused", "silent"])
async def panel(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Panel]:
    """A panel whose broker refuses connections, and one whose broker takes them and is silent."""
    with socket.socket() as broker:
        broker.bind(("127.0.0.1", 0))
        if request.param == "silent":
            broker.listen(1000)
        address = f"127.0.0.1:{broker.getsockname()[1]}"
        config = write_panel(tmp_path, broker=address, tokens=token_entries())
        async with running_panel(config) as panel:
            yield panel


async def _page(panel: Panel, path: str) -> Reply:
    async with (
        aiohttp.ClientSession() as session,
        session.get(panel.url + path, headers=Client(panel.url).headers) as answer,
    ):
        return Reply(answer.status, answer.headers.copy(), await answer.read())


def _check(answer: Reply, what: object) -> None:
    """A longer wait than two seconds for a sign of Kafka has another sentence."""
    assert answer.status == 503, what
    text = answer.body.decode()
    assert "no Kafka broker answers at" in text or "has answered within 2 s" in text, (what, text)
    assert answer.headers["Retry-After"], what


async def test_every_route_is_answered_soon(panel: Panel) -> None:
    """What needs a broker that is away is answered with 503, a sentence and Retry-After as soon as
    that is known, after two seconds at the latest; wrong input, and what needs no broker, is
    answered as ever.
    """
    client = Client(panel.url)
    answers = await asyncio.gather(
        *(client("GET", path) for path in READS),
        *(client(method, path, body, headers=more) for method, path, body, more in WRITES),
    )
    for answer, what in zip(answers, [*READS, *WRITES], strict=True):
        _check(answer, what)
        assert answer.kind == "unavailable", what
    assert (await client("POST", "/hooks:check", DEFINITION)).status == 200
    assert (await client("POST", "/hooks", {**DEFINITION, "uri": "x"})).status == 422
    assert (await client("GET", "/deliveries?since=x")).status == 422
    assert (await client("GET", "/session")).status == 200


async def test_every_page_is_answered_soon_and_loads_itself_again(panel: Panel) -> None:
    """A page that needs a broker that is away says so, and loads itself again without script."""
    answers = await asyncio.gather(*(_page(panel, path) for path in PAGES))
    for answer, path in zip(answers, PAGES, strict=True):
        _check(answer, path)
        assert b'<meta http-equiv="refresh" content="5">' in answer.body, path
        assert b"loads itself again" in answer.body, path
