"""A command in a pseudo-terminal, as a person runs it."""

import asyncio
import os
import pty
import re
from asyncio.subprocess import Process
from contextlib import suppress

from support.project import ROOT
from support.waiting import wait_until

_CONTROL = re.compile(rb"\x1b\[[0-9;?]*[a-zA-Z]")
_COLUMNS = "200"


class Terminal:
    """One command in a terminal; `text` is what it shows, without colours and cursor movements."""

    def __init__(self, *command: str) -> None:
        self._command = command
        self._shown = b""
        self._process: Process
        self._fd = -1

    @property
    def text(self) -> str:
        """Everything shown so far."""
        return _CONTROL.sub(b"", self._shown).replace(b"\r\n", b"\n").decode()

    async def start(self) -> None:
        """Run it; standard input, output and error are the terminal."""
        self._fd, inside = pty.openpty()
        os.set_blocking(self._fd, False)
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=inside,
            stdout=inside,
            stderr=inside,
            cwd=ROOT,
            env={**os.environ, "COLUMNS": _COLUMNS, "TERM": "xterm"},
        )
        os.close(inside)

    async def until(self, shown: str) -> None:
        """Wait until the terminal has shown this."""
        await wait_until(lambda: self._read() and shown in self.text, f"{shown!r} in a terminal")

    def type(self, text: str) -> None:
        """Type a text."""
        os.write(self._fd, text.encode())

    async def end(self) -> int:
        """Wait for the end of the command; its exit code."""
        await wait_until(lambda: self._read() and self._process.returncode is not None, "the end")
        self._read()
        os.close(self._fd)
        return await self._process.wait()

    def _read(self) -> bool:
        with suppress(OSError):  # nothing to read now, or the command has ended
            self._shown += os.read(self._fd, 65_536)
        return True
