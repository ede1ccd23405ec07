"""The daemon under test, as a process of its own or inside the test's."""

import asyncio
import os
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

import aiohttp
import orjson
from prometheus_client.parser import text_string_to_metric_families

from consumer.app import App
from consumer.configuration import load
from support.project import ROOT
from support.waiting import PATIENCE, wait_until

Samples = dict[str, float]
"""`name{label="value",...}`, labels sorted, to the number."""


class Probed:
    """The admin port of a daemon, and what can be asked there."""

    admin_port: int | None

    async def get(self, path: str) -> tuple[int, str]:
        """Status and text of an answer of the admin server."""
        url = f"http://127.0.0.1:{self.admin_port}{path}"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return answer.status, await answer.text()

    async def ready(self) -> bool:
        """Whether `/readyz` says so."""
        try:
            status, _ = await self.get("/readyz")
        except aiohttp.ClientError:
            return False
        return status == HTTPStatus.OK

    async def samples(self, prefix: str = "") -> Samples:
        """The numbers of `/metrics` whose names begin with `prefix`: to parse all that hundreds of
        hooks have takes half a second.
        """
        _, text = await self.get("/metrics")
        lines = [line for line in text.splitlines(keepends=True) if line.startswith(prefix)]
        return {
            _series(sample.name, sample.labels): sample.value
            for family in text_string_to_metric_families("".join(lines))
            for sample in family.samples
        }

    async def sample(self, series: str) -> float:
        """One number of `/metrics`; 0.0 if it is not there."""
        return (await self.samples(series.partition("{")[0])).get(series, 0.0)


def _series(name: str, labels: Mapping[str, str]) -> str:
    inside = ",".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
    return f"{name}{{{inside}}}" if inside else name


class InProcess(Probed):
    """An `App` on the test's own loop; on exit it is stopped in order."""

    watch: ClassVar[Callable[["InProcess"], object]] = staticmethod(lambda _daemon: None)
    """Is given each one that is made."""

    def __init__(self, config: Path) -> None:
        """`config`: the settings file."""
        own = {name: text for name, text in os.environ.items() if name[:10] != "HOOKSTREAM"}
        self.app = App(partial(load, config, environ=own))
        self._task: asyncio.Task[None]
        InProcess.watch(self)

    @property
    def log_dropped(self) -> int:
        """Rows of the delivery log that it dropped so far."""
        journal = self.app._journal
        return journal._writer.dropped if journal is not None else 0

    @property
    def admin_port(self) -> int | None:  # type: ignore[override]
        """The admin server's port once it is open."""
        return self.app.admin_port

    async def __aenter__(self) -> Self:
        """Run until it is ready."""
        self._task = asyncio.create_task(self.app.run())
        await wait_until(self._ready_or_ended, "the daemon to be ready")
        return self

    async def _ready_or_ended(self) -> bool:
        if self._task.done():
            await self._task
        return self.admin_port is not None and await self.ready()

    async def stop(self) -> None:
        """The orderly stop."""
        self.app.stop()
        await asyncio.wait_for(self._task, PATIENCE)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            await self.stop()
            return
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task


class Daemon(Probed):
    """`hookstream run` in a process of its own; on exit exactly that process is killed, if it still
    lives.
    """

    watch: ClassVar[Callable[["Daemon"], object]] = staticmethod(lambda _daemon: None)
    """Is given each daemon that is launched."""

    def __init__(
        self, config: Path, environ: Mapping[str, str] | None = None, *, by: Sequence[str] = ()
    ) -> None:
        """`config`: the settings file; `environ` is added to the test's environment; `by`: a
        command that runs the one behind it, in its own process or in a child.
        """
        self._by = by
        self._config = config
        self._environ = {**os.environ, **(environ or {})}
        self._process: Process
        self._reading: asyncio.Task[None]
        self.lines: list[str] = []
        """Standard error so far."""
        self.launched_at = 0.0
        self.killed_at: float | None = None
        """Epoch seconds at which it ended, if not in order."""

    @property
    def logs(self) -> list[dict[str, Any]]:
        """The lines that are JSON, which every line of a daemon that runs must be."""
        return [orjson.loads(line) for line in self.lines if line.startswith("{")]

    @property
    def log_dropped(self) -> int:
        """Rows of the delivery log that it dropped, as it said at its stop."""
        return sum(one["dropped"] for one in self.said("records of the delivery log were dropped"))

    @property
    def events(self) -> list[str]:
        """The events of the log, in order."""
        return [line["event"] for line in self.logs]

    def said(self, event: str) -> list[dict[str, Any]]:
        """The lines with this event."""
        return [line for line in self.logs if line["event"] == event]

    @property
    def complaints(self) -> list[str]:
        """The daemon's own error lines, and lines that are no log at all: none in a good run.

        aiokafka's errors are left out: it calls a topic that is a moment old an error.
        """
        return [
            line
            for line in self.lines
            if line[0] != "{" or ('"level":"error"' in line and '"logger":"aiokafka' not in line)
        ]

    @property
    def admin_port(self) -> int | None:  # type: ignore[override]
        """The admin server's port once it is open."""
        for line in self.said("hookstream runs"):
            return int(line["admin"].rpartition(":")[2])
        return None

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code of the process; None while it runs."""
        return self._process.returncode

    async def launch(self) -> None:
        """Start the process without waiting for it."""
        self._process = await asyncio.create_subprocess_exec(
            *self._by,
            *(sys.executable, "-m", "consumer", "run", "--config", str(self._config)),
            stdin=DEVNULL,
            stderr=PIPE,
            env=self._environ,
            cwd=ROOT,
        )
        self.launched_at = time.time()
        self._reading = asyncio.create_task(self._read())
        Daemon.watch(self)

    async def refuses(self) -> str:
        """The one line, beside its log, with which the daemon refuses to start; exit code 1."""
        await self.launch()
        try:
            assert await self.wait() == 1, self.lines
        finally:
            await self.kill()
        [sentence] = [line for line in self.lines if not line.startswith("{")]
        return sentence

    async def _read(self) -> None:
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            self.lines.append(line.decode())

    async def __aenter__(self) -> Self:
        """Run until it is ready."""
        await self.launch()
        try:
            await wait_until(self._ready_or_ended, "the daemon to be ready")
        except BaseException:
            await self.kill()
            raise
        return self

    async def _ready_or_ended(self) -> bool:
        assert self.returncode is None, self.lines
        return self.admin_port is not None and await self.ready()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process."""
        self._process.send_signal(number)

    async def wait(self) -> int:
        """Wait for the end of the process and of its log."""
        code = await asyncio.wait_for(self._process.wait(), PATIENCE)
        if code != 0 and self.killed_at is None:
            self.killed_at = time.time()
        await self._reading
        return code

    async def stop(self) -> int:
        """SIGTERM, and wait for the exit code."""
        self.signal(signal.SIGTERM)
        return await self.wait()

    async def kill(self) -> None:
        """End it as a crash would (SIGKILL), if it still runs."""
        if self.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()
        await self.wait()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.kill()
