"""The admin server's addresses and life."""

import asyncio
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from errno import EADDRNOTAVAIL, EAFNOSUPPORT
from socket import AI_PASSIVE, SOCK_STREAM, create_server, socket
from typing import TYPE_CHECKING, Self

from prometheus_client import CollectorRegistry

from consumer.admin.probes import ProbeResult
from consumer.errors import HookstreamError

if TYPE_CHECKING:
    from consumer.admin.server import Server

IDLE_TIMEOUT_SECONDS = 15.0
"""For a request's headers, for the next request, and for an answer to be read."""

MAX_DELAY_SECONDS = 1.0
"""How long probes wait for the start: less than a probe's usual patience, since a daemon that waits
for its broker or its group is alive."""


class Admin:
    """The server of `/healthz`, `/readyz` and `/metrics`. It listens while entered, and answers
    from `serve` on; until then connections wait.

    Args:
        hosts: names or addresses (IPv4, or IPv6 without brackets) of this machine.
        port: 0 for any free one.
        registry: metrics of `/metrics`.
        health: liveness; called for each probe.
        ready: readiness; called for each probe.
        idle: see `IDLE_TIMEOUT_SECONDS`.
    """

    def __init__(
        self,
        *,
        hosts: Sequence[str],
        port: int,
        registry: CollectorRegistry,
        health: Callable[[], ProbeResult],
        ready: Callable[[], ProbeResult],
        idle: float = IDLE_TIMEOUT_SECONDS,
    ) -> None:
        self._hosts = hosts
        self._port = port
        self._registry = registry
        self._probes = {"/healthz": health, "/readyz": ready}
        self._idle = idle
        self._listeners: list[socket] = []
        self._server: Server | None = None

    @property
    def port(self) -> int:
        """The bound port, chosen by the system if 0 was requested."""
        port: int = self._listeners[0].getsockname()[1]
        return port

    async def __aenter__(self) -> Self:
        """Start listening.

        Raises:
            HookstreamError: an address cannot be bound.
        """
        try:
            for host in self._hosts:
                await self._listen(host)
        except BaseException:
            self._close_listeners()
            raise
        return self

    async def serve(self, ready: asyncio.Event) -> None:
        """Begin to answer when `ready` is set, or after `MAX_DELAY_SECONDS`.

        aiohttp is imported then, in a thread: it takes a quarter of the start's CPU time, and the
        first delivery does not need it.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(MAX_DELAY_SECONDS):
                await ready.wait()
        make = await asyncio.to_thread(_server_class)
        self._server = make(self._registry, self._probes, self._idle)
        await self._server.start(self._listeners)

    async def _listen(self, host: str) -> None:
        """Listen on each address of `host` that this machine has (`localhost` has an IPv6 address
        even on machines without IPv6).
        """
        port = self.port if self._listeners else self._port
        loop = asyncio.get_running_loop()
        bound, refused = 0, OSError()
        try:
            found = await loop.getaddrinfo(host, port, type=SOCK_STREAM, flags=AI_PASSIVE)
            for family, *_, address in found:
                if address in [listener.getsockname() for listener in self._listeners]:
                    bound += 1  # through another name
                    continue
                try:
                    self._listeners.append(create_server(address, family=family))
                except OSError as error:
                    if error.errno not in {EADDRNOTAVAIL, EAFNOSUPPORT}:
                        raise
                    refused = error
                    continue
                bound += 1
            if not bound:
                raise refused
        except OSError as error:
            raise HookstreamError(_cannot_listen(host, port, error)) from error

    async def __aexit__(self, *_: object) -> None:
        """Close every connection; answers in progress have a second."""
        if self._server is not None:
            await self._server.close()
        self._close_listeners()

    def _close_listeners(self) -> None:
        for listener in self._listeners:
            listener.close()


def _server_class() -> "type[Server]":
    from consumer.admin.server import Server

    return Server


def host_port(host: str, port: int | None) -> str:
    """`host:port`, with an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _cannot_listen(host: str, port: int, error: OSError) -> str:
    # asyncio puts a text of its own into `strerror`; the resolver's numbers are negative.
    number = error.errno or 0
    reason = os.strerror(number) if number > 0 else error.strerror
    return (
        f"the admin server cannot listen on {host_port(host, port)} ({reason}): "
        "set admin.host and admin.port to a free address of this machine"
    )
