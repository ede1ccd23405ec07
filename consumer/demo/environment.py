"""Starts the process of the demo's environment (`environment_process`) and exchanges messages."""

import asyncio
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from consumer.demo.child import end_child
from consumer.errors import HookstreamError


@dataclass(frozen=True, slots=True)
class Options:
    """The options of `hookstream demo`."""

    seconds: float
    """Seconds in which events are produced; `inf`: until it is stopped."""
    rate: int
    """Events per second."""
    seed: int
    """Seed of the events, which are the same for the same seed."""


class DemoEnvironment:
    """Broker, receivers and events; they run while the context is entered."""

    def __init__(self, options: Options, topics: Mapping[str, int]) -> None:
        """`topics`: all those that the daemon will ask for, with their partitions."""
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
            *(f"{topic}:{partitions}" for topic, partitions in self._topics.items()),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C stops the daemon first, which still needs the broker
        )
        try:
            ready = await self._receive()
        except BaseException:
            await end_child(self._process)
            raise
        self.bootstrap, self.ports = ready["bootstrap"], ready["ports"]
        return self

    async def __aexit__(self, *_: object) -> None:
        """End the process."""
        await end_child(self._process)

    async def produce(self) -> int:
        """Start the events. Returns their number when the last one is in Kafka."""
        stdin = self._process.stdin
        assert stdin is not None  # noqa: S101  # a pipe was asked for
        stdin.write(b"go\n")
        return sum((await self._receive())["produced"].values())

    async def _receive(self) -> dict[str, Any]:
        stdout = self._process.stdout
        assert stdout is not None  # noqa: S101  # a pipe was asked for
        line = await stdout.readline()
        if not line:
            raise HookstreamError("the demo's broker and receiver have ended: see above")
        message: dict[str, Any] = json.loads(line)
        return message
