"""The receivers of docs/receivers as processes: each language's command, start, requests, inbox."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import Self

from support.project import ROOT

FOLDER = ROOT / "docs" / "receivers"
ANSWER_SECONDS = 30.0
"""How long a test waits for an answer that is sure to come, on a busy machine."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """A language's program on the PATH and the file that it runs."""

    name: str
    program: str
    file: str


RUNTIMES = (
    Runtime("Python", "python3", "receiver.py"),
    Runtime("Node.js", "node", "receiver.mjs"),
    Runtime("Go", "go", "receiver.go"),
    Runtime("Java", "java", "Receiver.java"),
    Runtime("Ruby", "ruby", "receiver.rb"),
)


def command(runtime: Runtime, folder: Path) -> list[str]:
    """The command of a receiver; Go's is compiled once, into `folder`."""
    file = str(FOLDER / runtime.file)
    if runtime.name != "Go":
        quick = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"] if runtime.name == "Java" else []
        return [runtime.program, *quick, file]
    binary = str(folder / "receiver")
    go = shutil.which("go") or "go"
    build = [go, "build", "-ldflags=-s -w", "-o", binary, file]
    subprocess.run(build, check=True)
    return [binary]


class WrittenReceiver:
    """A receiver's process, with its secrets and its inbox, while the context is entered."""

    def __init__(self, command: Sequence[str], secrets: Sequence[str], inbox: Path) -> None:
        """`inbox`: the file, which may hold deliveries of an earlier process."""
        self._command = command
        self._environ = {"WEBHOOK_SECRETS": " ".join(secrets), "INBOX": str(inbox), "PORT": "0"}
        self._inbox = inbox
        self._process: subprocess.Popen[str]
        self.port = 0

    def __enter__(self) -> Self:
        """Start the process and wait until it listens."""
        self._process = subprocess.Popen(
            self._command, env=os.environ | self._environ, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line.startswith("listening on 127.0.0.1:"), f"{self._command} said {line!r}"
        self.port = int(line.rpartition(":")[2])
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Kill the process, as a crash would."""
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def send(self, target: str, headers: Mapping[str, str], method: str = "GET") -> int:
        """The status that a request is answered with; target and headers are sent as they are."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_SECONDS)
        try:
            connection.putrequest(method, target, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value.encode())
            connection.endheaders()
            return connection.getresponse().status
        finally:
            connection.close()

    def stored(self) -> list[list[str]]:
        """The deliveries in the inbox: id, timestamp, target."""
        return [line.split("\t") for line in self._inbox.read_text().splitlines()]
