"""Starts the process of the demo's environment (`environment_process`), and talks with it."""

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from consumer.errors import HookstreamError

EXIT_TIMEOUT_SECONDS = 5.0
"""Seconds that the process has to end by itself."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a person may choose."""

    seconds: float
    """For which events come."""
    rate: int
    """Events per second."""
    seed: int
    """The same one makes the same events."""


class DemoEnvironment:
    """Broker, receivers and events, while entered."""

    def __init__(self, options: Options, topics: Sequence[str]) -> None:
        """`topics`: every one that the daemon will ask for."""
        self._options = options
        self._topics = topics
        self._process: asyncio.subprocess.Process
        self.bootstrap = ""
        """The broker's `host:port`."""
        self.ports: Mapping[str, int] = {}
        """The receivers' ports on 127.0.0.1, by behaviour."""

    async def __aenter__(self) -> Self:
        """Start the process and wait until it serves."""
        options = self._options
        arguments = {"seed": options.seed, "rate": options.rate, "seconds": options.seconds}
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "consumer.demo.environment_process",
            *(f"--{name}={value}" for name, value in arguments.items()),
            *self._topics,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the daemon; the broker must outlive its drain
        )
        try:
            where = await self._receive()
        except BaseException:
            await self._end()
            raise
        self.bootstrap, self.ports = where["bootstrap"], where["ports"]
        return self

    async def __aexit__(self, *_: object) -> None:
        """End the process."""
        await self._end()

    async def produce(self) -> int:
        """Let the events come; returns their number when the last one is in Kafka."""
        stdin = self._process.stdin
        assert stdin is not None  # noqa: S101  # it was asked for
        stdin.write(b"go\n")
        return sum((await self._receive())["produced"].values())

    async def _receive(self) -> dict[str, Any]:
        stdout = self._process.stdout
        assert stdout is not None  # noqa: S101  # it was asked for
        line = await stdout.readline()
        if not line:
            raise HookstreamError("the demo's broker and receiver have ended: see above")
        message: dict[str, Any] = json.loads(line)
        return message

    async def _end(self) -> None:
        stdin = self._process.stdin
        assert stdin is not None  # noqa: S101  # it was asked for
        stdin.close()
        try:
            async with asyncio.timeout(EXIT_TIMEOUT_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
