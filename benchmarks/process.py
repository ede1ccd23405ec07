"""A measured program, whose cost is read from /proc (Linux only)."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from benchmarks.errors import BenchmarkError

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_STOP_TIMEOUT_SECONDS = 30.0
_USER_FIELD, _SYSTEM_FIELD = 11, 12
"""Fields of /proc/PID/stat, counted from the one after the name (proc(5): 14 and 15)."""


class Process:
    """Runs from construction to `stop`; its output goes to a file in `folder`."""

    def __init__(self, command: Sequence[str], folder: Path) -> None:
        self._output = folder / "output.log"
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603  # a program of this benchmark
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )

    @property
    def cpu(self) -> float:
        """Seconds of user and system time so far, of all threads, including dead ones."""
        fields = self._read("stat").rpartition(")")[2].split()
        return (int(fields[_USER_FIELD]) + int(fields[_SYSTEM_FIELD])) / _TICKS_PER_SECOND

    @property
    def peak(self) -> float:
        """Peak resident memory so far, in MB of a million bytes."""
        lines = dict(line.split(":", 1) for line in self._read("status").splitlines())
        return int(lines["VmHWM"].split()[0]) * 1024 / 1e6

    def check(self) -> None:
        """Raise `BenchmarkError` if the process has exited."""
        if self._process.poll() is not None:
            raise self.error(f"ended with exit code {self._process.returncode}")

    def signal(self, number: int) -> None:
        """Send the process a signal."""
        self._process.send_signal(number)

    def said(self, text: str) -> bool:
        """Whether `text` is in the output so far."""
        self.check()
        return text in self._output.read_text(errors="replace")

    def stop(self) -> None:
        """Terminate the process; kill it if that takes too long."""
        self._process.terminate()
        try:
            self._process.wait(_STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def error(self, what: str) -> BenchmarkError:
        """The error that says `what` happened, with the end of the output."""
        lines = self._output.read_text(errors="replace").splitlines()
        return BenchmarkError("\n".join([f"{self._process.args!r} {what}", *lines[-20:]]))

    def _read(self, name: str) -> str:
        self.check()
        return Path(f"/proc/{self._process.pid}/{name}").read_text()
