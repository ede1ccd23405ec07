"""Starts the process of the demo's panel (`panel_process`)."""

import asyncio
import sys
from pathlib import Path
from typing import Self

from consumer.demo.child import end_child
from consumer.errors import HookstreamError


class DemoPanel:
    """The panel; it serves while the context is entered."""

    def __init__(self, file: Path) -> None:
        """`file`: the settings, which the daemon has too."""
        self._file = file
        self._process: asyncio.subprocess.Process
        self.link = ""
        """Lets one person in, once."""

    async def __aenter__(self) -> Self:
        """Start the process and wait until it serves."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "consumer.demo.panel_process",
            str(self._file),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C stops the daemon first, which it shows until then
        )
        try:
            self.link = await self._read_link()
        except BaseException:
            await end_child(self._process)
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """End the process."""
        await end_child(self._process)

    async def _read_link(self) -> str:
        assert self._process.stdout is not None  # noqa: S101  # a pipe was asked for
        line = await self._process.stdout.readline()
        if not line:
            raise HookstreamError("the demo's panel has ended: see above")
        return line.decode().strip()
