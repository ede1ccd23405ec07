"""A Prometheus that scrapes what a test names."""

import asyncio
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import yaml

from support.broker import HOST, free_port
from support.find_prometheus import find_prometheus
from support.project import ROOT
from support.waiting import PATIENCE, wait_until


class PrometheusServer:
    """A Prometheus of the test's own, with the alerts of deploy/, which scrapes each second."""

    def __init__(self, folder: Path, targets: Sequence[str]) -> None:
        """`folder`: for its data; `targets`: `host:port` of each replica."""
        self._folder = folder
        self._targets = list(targets)
        self._port = free_port()
        self._process: Process

    async def __aenter__(self) -> Self:
        """Run until it is ready."""
        config = self._folder / "prometheus.yml"
        config.write_text(
            yaml.safe_dump(
                {
                    "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
                    "rule_files": [str(ROOT / "deploy" / "alerts.yml")],
                    "scrape_configs": [
                        {"job_name": "hookstream", "static_configs": [{"targets": self._targets}]}
                    ],
                }
            )
        )
        self._process = await asyncio.create_subprocess_exec(
            find_prometheus().server,
            f"--config.file={config}",
            f"--storage.tsdb.path={self._folder / 'data'}",
            f"--web.listen-address={HOST}:{self._port}",
            "--log.level=warn",
            stdin=DEVNULL,
            stderr=PIPE,
        )
        try:
            await wait_until(self._ready, "Prometheus to be ready")
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._end()

    async def _end(self) -> None:
        if self._process.returncode is None:
            self._process.terminate()
        await asyncio.wait_for(self._process.communicate(), PATIENCE)

    async def _ready(self) -> bool:
        assert self._process.returncode is None
        try:
            await self._get("/-/ready")
        except aiohttp.ClientError:
            return False
        return True

    async def _get(self, path: str, **parameters: str) -> str:
        url = f"http://{HOST}:{self._port}{path}"
        async with aiohttp.ClientSession() as session, session.get(url, params=parameters) as got:
            text = await got.text()
            if path == "/-/ready":
                got.raise_for_status()
            return text

    async def query(self, expression: str) -> list[float]:
        """The values of an expression now, without those that are no number."""
        answer: dict[str, Any] = yaml.safe_load(await self._get("/api/v1/query", query=expression))
        assert answer["status"] == "success", answer
        values = [float(one["value"][1]) for one in answer["data"]["result"]]
        return [value for value in values if value == value]  # noqa: PLR0124 NaN is none
