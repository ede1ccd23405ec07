"""The panel under test: in the test's own process, or in one of its own."""

import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import yarl

from consumer.clock import Clock, SystemClock
from consumer.configuration import read_settings
from consumer.panel.connections import IDLE_SECONDS
from consumer.panel.panel import Panel

TOKENS = {role: f"token-of-a-{role}" for role in ("viewer", "editor", "operator")}
"""The tokens of the tests' panels, by role; each is its user's name, too."""


def token_entries(tokens: Mapping[str, str] = TOKENS) -> list[dict[str, str]]:
    """The entries of `panel.tokens`."""
    return [
        {"name": role, "role": role, "sha256": hashlib.sha256(token.encode()).hexdigest()}
        for role, token in tokens.items()
    ]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of the panel."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, which is JSON."""
        return orjson.loads(self.body)

    @property
    def kind(self) -> str:
        """The last word of a problem's type."""
        return str(self.json["type"]).rpartition(":")[2]


class Client:
    """A client of a panel, with the role's token if it has a role."""

    def __init__(self, url: str, role: str | None = "operator") -> None:
        self.url = url
        self.headers = {"Authorization": f"Bearer {TOKENS[role]}"} if role is not None else {}

    async def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send a request below `/api/v1`, or to a whole path; `body` goes as JSON."""
        whole = path if path.startswith(("/api", "/healthz", "/login")) else f"/api/v1{path}"
        given = {**self.headers, **(headers or {})}
        data = raw
        if body is not None:
            data = orjson.dumps(body)
        if data is not None:
            given.setdefault("Content-Type", "application/json")
        async with (
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
            session.request(
                method,
                yarl.URL(self.url + whole, encoded=True),
                data=data,
                headers=given,
                allow_redirects=False,
                skip_auto_headers=("Content-Type",),
            ) as answer,
        ):
            return Reply(answer.status, answer.headers.copy(), await answer.read())


@asynccontextmanager
async def running_panel(
    config: Path, *, clock: Clock | None = None, idle: float = IDLE_SECONDS
) -> AsyncIterator[Panel]:
    """A panel with the settings of a file, on the test's own loop."""
    settings, new_context = read_settings(config)
    panel = Panel(settings, new_context, clock or SystemClock(), idle=idle)
    async with panel.serving():
        yield panel
