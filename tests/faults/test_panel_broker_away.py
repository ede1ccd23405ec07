"""The panel while its broker is away."""

import asyncio
from typing import Any

from support.broker import KafkaServer
from support.panel import Client, running_panel, token_entries
from support.waiting import wait_until
from support.workspace import Workspace, hook

BOUND_SECONDS = 20.0
"""For an answer: the time of a look, on a machine that is busy."""


async def _timed(client: Client, method: str, path: str, body: Any = None) -> tuple[int, str]:
    loop = asyncio.get_running_loop()
    began = loop.time()
    answer = await client(method, path, body, headers={"If-Match": '"1"'})
    assert loop.time() - began < BOUND_SECONDS, path
    assert answer.headers["Retry-After"]
    return answer.status, answer.kind


async def test_a_broker_that_dies_is_told_and_found_again(
    server: KafkaServer, mortal: Workspace
) -> None:
    """While the broker is away, looks and changes are answered with 503 in bounded time, and what
    needs no broker goes on; when it is back, all is there, and changes are made again.
    """
    await mortal.create_live_topics()
    mortal.write_settings(
        hooks={"live": True, "path": ""}, panel={"port": 0, "tokens": token_entries()}
    )
    first = hook("h-1", "https://a.example.com")
    async with running_panel(mortal.config) as panel:
        client = Client(panel.url)
        assert (await client("POST", "/hooks", first)).status == 201
        await asyncio.to_thread(server.kill)
        asked = await asyncio.gather(
            _timed(client, "GET", "/hooks"),
            _timed(client, "GET", "/hooks/h-1/history"),
            _timed(client, "PUT", "/hooks/h-1", {**first, "timeout": "5s"}),
            _timed(client, "DELETE", "/hooks/h-1"),
            _timed(client, "GET", "/audit"),
        )
        assert set(asked) == {(503, "unavailable")}
        for path in ("/healthz", "/session"):
            assert (await client("GET", path)).status == 200
        assert (await client("POST", "/hooks:check", first)).status == 200
        await asyncio.to_thread(server.restart)

        async def is_back() -> bool:
            return (await client("GET", "/hooks")).status == 200

        await wait_until(is_back, "the panel to answer again", patience=90)
        assert (await client("GET", "/hooks/h-1")).json["revision"] == 1

        async def changed() -> bool:
            answer = await client(
                "PUT", "/hooks/h-1", {**first, "timeout": "5s"}, headers={"If-Match": "*"}
            )
            return answer.status == 200

        await wait_until(changed, "a change to be made", patience=90)
        assert (await client("GET", "/hooks/h-1")).json["revision"] == 2
