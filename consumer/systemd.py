"""systemd's service notifications (sd_notify): ready, reloading, stopping, and a watchdog's beat.

Nothing is sent without `NOTIFY_SOCKET` in the environment, which systemd sets for a service of
`Type=notify`. Sending never blocks: a message that the socket cannot take yet is sent later.
"""

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from consumer.clock import Clock

POLL_SECONDS: Final = 0.5
"""Interval of the looks at the probes; a service of systemd is ready at most this much later."""


class Probe(Protocol):
    """The result of a probe."""

    @property
    def ok(self) -> bool:
        """Whether it is passed."""
        ...

    @property
    def reason(self) -> str:
        """Why, in words."""
        ...


class ServiceManager:
    """Tells systemd about the daemon; `environ` is the process's environment."""

    def __init__(
        self, environ: Mapping[str, str], clock: Clock, poll_seconds: float = POLL_SECONDS
    ) -> None:
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))
        self._clock = clock
        self._beat_seconds = _watchdog_seconds(environ) / 2
        """Interval of the watchdog's beats; 0: there is no watchdog."""
        self._poll_seconds = min(poll_seconds, self._beat_seconds or poll_seconds)
        self._pending = deque[bytes]()
        self._is_ready = False
        self._is_stopping = False
        self._status = ""
        self._next_beat = clock.monotonic()

    async def run(self, ready: Callable[[], Probe], alive: Callable[[], Probe]) -> None:
        """Until cancelled: say once that the service is ready, from then on its status (`ready`)
        and, if systemd has a watchdog for it, that it is not stuck (`alive`).
        """
        while self._address:
            self._look(ready(), alive)
            await asyncio.sleep(self._poll_seconds)

    def reloading(self) -> None:
        """Say that a reload has begun."""
        if self._is_ready and not self._is_stopping:
            microseconds = int(self._clock.monotonic() * 1_000_000)
            self._send("RELOADING=1", f"MONOTONIC_USEC={microseconds}")

    def reloaded(self) -> None:
        """Say that a reload has ended, in either way."""
        if self._is_ready and not self._is_stopping:
            self._send("READY=1")

    def stopping(self) -> None:
        """Say that the service stops."""
        if not self._is_stopping:
            self._is_stopping = True
            self._send("STOPPING=1", "STATUS=finishing or deferring what is in flight")

    def _look(self, ready: Probe, alive: Callable[[], Probe]) -> None:
        if not self._is_stopping:
            if ready.ok and not self._is_ready:
                self._is_ready, self._status = True, ready.reason
                self._send("READY=1", f"STATUS={ready.reason}")
            elif ready.reason != self._status and not self._pending:
                self._status = ready.reason
                self._send(f"STATUS={ready.reason}")
        now = self._clock.monotonic()
        if self._beat_seconds and now >= self._next_beat and not self._pending and alive().ok:
            self._next_beat = now + self._beat_seconds
            self._send("WATCHDOG=1")
        self._flush()

    def _send(self, *assignments: str) -> None:
        if self._address:
            self._pending.append("\n".join(assignments).encode())
            self._flush()

    def _flush(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.settimeout(0)  # non-blocking
            while self._pending:
                try:
                    out.sendto(self._pending[0], self._address)
                except BlockingIOError:
                    return
                except OSError:  # no systemd listens there: nothing depends on it
                    self._pending.clear()
                    return
                self._pending.popleft()


def _address(name: str) -> str:
    """The address of a socket in the file system or in Linux's abstract namespace, else empty."""
    if name.startswith("@"):
        return f"\0{name[1:]}"
    return name if name.startswith("/") else ""


def _watchdog_seconds(environ: Mapping[str, str]) -> float:
    microseconds = environ.get("WATCHDOG_USEC", "")
    is_ours = environ.get("WATCHDOG_PID", "") in ("", str(os.getpid()))
    return int(microseconds) / 1_000_000 if is_ours and microseconds.isdecimal() else 0.0
