"""A daemon that gets signals before it runs, as a plain process or as process 1."""

import asyncio
import json
import os
import shutil
import subprocess
from contextlib import suppress
from functools import cache
from pathlib import Path
from signal import Signals

from support.daemon import Daemon
from support.dockerfile import stages
from support.project import ROOT
from support.waiting import wait_until

_NAMESPACE = (
    *("unshare", "--user", "--map-root-user"),
    *("--pid", "--mount-proc", "--fork", "--kill-child"),
)


def entrypoint() -> tuple[str, ...]:
    """The command that the image runs before the daemon's own."""
    [written] = [
        rest
        for word, rest in stages((ROOT / "deploy/Dockerfile").read_text())[-1]
        if word == "ENTRYPOINT"
    ]
    words: list[str] = json.loads(written)
    assert words.pop() == "hookstream"
    return tuple(words)


@cache
def no_namespace() -> str:
    """The reason why nothing can be process 1 here; empty if it can."""
    if shutil.which(_NAMESPACE[0]) is None:
        return "unshare is not installed"
    done = subprocess.run([*_NAMESPACE, "true"], capture_output=True, check=False)
    return done.stderr.decode().strip() if done.returncode else ""


class EarlyDaemon(Daemon):
    """A daemon that gets signals early.

    `as_process_one`: as process 1 of a PID namespace of its own, where the kernel drops a signal
    without a handler; `as_image`: behind what the image starts it with.
    """

    def __init__(
        self, config: Path, *, as_process_one: bool = False, as_image: bool = False
    ) -> None:
        before = (*(_NAMESPACE if as_process_one else ()), *(entrypoint() if as_image else ()))
        super().__init__(config, by=before)
        self._is_child = as_process_one

    async def launch(self) -> None:
        """Start the process; returns when it has an id."""
        await super().launch()
        if self._is_child:
            await wait_until(self._child, "the first process of the namespace")

    @property
    def pid(self) -> int:
        """The daemon's process id outside of its namespace."""
        return int(self._child()) if self._is_child else self._process.pid

    def _child(self) -> str:
        outer = self._process.pid
        return Path(f"/proc/{outer}/task/{outer}/children").read_text()

    def signal(self, number: Signals) -> None:
        """Send a signal to the daemon itself."""
        os.kill(self.pid, number)

    async def handles(self, number: Signals) -> None:
        """Wait until the process has a handler for this signal."""
        await wait_until(lambda: self._has("SigCgt", number), f"a handler of {number.name}")

    async def blocks(self, number: Signals) -> bool:
        """Wait until the process holds this signal back; returns False if it handles it already."""
        masks = ("SigBlk", "SigCgt")
        found = await wait_until(
            lambda: next((mask for mask in masks if self._has(mask, number)), None),
            f"{number.name} to be held back",
        )
        return found == "SigBlk"

    async def reads(self, file: Path) -> None:
        """Wait until the process has this file open."""
        await wait_until(lambda: file in self._files(), f"{file.name} to be read")

    def _has(self, mask: str, number: Signals) -> bool:
        with suppress(OSError, ValueError):  # the child was not made yet
            lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
            if lines[0] == f"Name:\t{_NAMESPACE[0]}":
                return False  # it holds signals back while it makes the child
            [bits] = [line.split()[1] for line in lines if line.startswith(mask)]
            return bool(int(bits, 16) >> (number - 1) & 1)
        return False

    def _files(self) -> set[Path]:
        found = set()
        with suppress(OSError, ValueError):
            for entry in Path(f"/proc/{self.pid}/fd").iterdir():
                with suppress(OSError):
                    found.add(entry.readlink())
        return found


async def feed(pipe: Path, text: str) -> None:
    """Write `text` into a named pipe, once a process has opened it."""
    fd = await opened(pipe)
    os.set_blocking(fd, True)
    with os.fdopen(fd, "w") as stream:
        await asyncio.to_thread(stream.write, text)


async def opened(pipe: Path) -> int:
    """Wait until a process reads this named pipe; the descriptor to write to."""

    def end() -> int | None:
        with suppress(OSError):  # ENXIO: no process reads
            return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        return None

    return await wait_until(end, f"{pipe.name} to be opened") or -1
