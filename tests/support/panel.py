"""The panel under test: in the test's own process, or in one of its own."""

import asyncio
import hashlib
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import aiohttp
import orjson
import yarl

from consumer.clock import Clock, SystemClock
from consumer.configuration import read_settings
from consumer.panel.connections import IDLE_SECONDS
from consumer.panel.panel import Panel
from support.project import ROOT
from support.waiting import PATIENCE, wait_until

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


class PanelProcess:
    """`hookstream panel` in a process of its own; on exit exactly that process is ended."""

    def __init__(
        self,
        config: Path,
        environ: Mapping[str, str] | None = None,
        command: Sequence[str] | None = None,
    ) -> None:
        """`config`: the settings file; `environ` is added to the test's environment; `command`: how
        the panel is started, `hookstream panel` unless the test says otherwise.
        """
        panel = (sys.executable, "-m", "consumer", "panel", "--config", str(config))
        self._command = command if command is not None else panel
        self._environ = {**os.environ, **(environ or {})}
        self._process: Process
        self._reading: asyncio.Task[None]
        self.lines: list[str] = []
        """Standard error so far."""
        self.output: list[str] = []
        """Standard output so far."""

    @property
    def url(self) -> str | None:
        """Where it serves, once it does."""
        for line in self.lines:
            if line.startswith("{") and '"the panel is open"' in line:
                return str(orjson.loads(line)["url"])
        return None

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    @property
    def cpu_seconds(self) -> float:
        """CPU time of all its threads so far, as the kernel's scheduler counts it."""
        tasks = Path(f"/proc/{self.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9

    async def launch(self) -> None:
        """Start the process without waiting for it."""
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            env=self._environ,
            cwd=ROOT,
        )
        self._reading = asyncio.create_task(self._read())

    async def __aenter__(self) -> Self:
        """Run until it serves."""
        await self.launch()
        try:
            await wait_until(self._is_open_or_ended, "the panel to be open")
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()
        await self.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process."""
        self._process.send_signal(number)

    async def wait(self) -> int:
        """Wait for the end of the process and of its output."""
        code = await asyncio.wait_for(self._process.wait(), PATIENCE)
        await self._reading
        return code

    def _is_open_or_ended(self) -> bool:
        assert self._process.returncode is None, self.lines
        return self.url is not None

    async def _read(self) -> None:
        assert self._process.stderr is not None
        assert self._process.stdout is not None
        await asyncio.gather(
            _keep(self._process.stderr, self.lines), _keep(self._process.stdout, self.output)
        )


async def _keep(stream: asyncio.StreamReader, lines: list[str]) -> None:
    async for line in stream:
        lines.append(line.decode())  # noqa: PERF401  # each as it comes
