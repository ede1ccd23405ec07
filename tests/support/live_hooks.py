"""Live definitions as a test writes them, and what a daemon says of them."""

import time
from collections import Counter
from collections.abc import Iterable
from typing import Any

import orjson

from support.cluster import Placed
from support.daemon import Daemon
from support.waiting import wait_until
from support.workspace import Workspace

OFFSET = "hookstream_hooks_offset"
PROBLEMS = "hookstream_hook_problems"
LIVE = {"live": True, "path": ""}
"""Settings of a daemon without definitions in files."""


class LiveHooks:
    """The definitions' topic of a workspace, written without transactions."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._revisions: Counter[str] = Counter()

    @property
    def topic(self) -> str:
        """The topic's name."""
        return self._workspace.live_topics[0]

    async def put(self, definition: dict[str, Any]) -> Placed:
        """Write a definition."""
        return await self.write(definition["id"], self._value(definition))

    async def put_many(self, definitions: Iterable[dict[str, Any]]) -> None:
        """Write definitions, all at once."""
        async with self._workspace.cluster.producer(linger_ms=20) as producer:
            for definition in definitions:
                await producer.send(
                    self.topic, self._value(definition), key=definition["id"].encode()
                )

    async def delete(self, hook_id: str) -> Placed:
        """Delete a definition."""
        return await self.write(hook_id, None)

    async def write(self, key: str, value: bytes | None) -> Placed:
        """Write any record."""
        produce, most = self._workspace.cluster.produce, 4 * 1024 * 1024
        [placed] = await produce(self.topic, [value], key=key.encode(), max_request_size=most)
        return placed

    def _value(self, definition: dict[str, Any]) -> bytes:
        self._revisions[definition["id"]] += 1
        revision = self._revisions[definition["id"]]
        return orjson.dumps({"format": 1, "revision": revision, "definition": definition})


async def in_force(daemon: Daemon, record: Placed) -> float:
    """Wait until a record is in force at a daemon; returns the seconds that it took from now."""
    began = time.monotonic()

    async def applied() -> bool:
        return await daemon.sample(OFFSET) >= record.offset

    await wait_until(applied, f"offset {record.offset} to be in force")
    return time.monotonic() - began
