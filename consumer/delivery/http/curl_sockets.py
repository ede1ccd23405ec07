"""The sockets of libcurl: opened where the guard admits it, and watched by one epoll."""

import os
import select
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pycurl  # type: ignore[import-untyped]  # the stubs of others lag behind its constants

from consumer.delivery.egress.guard import DialGuard, EgressPolicy
from consumer.delivery.http.sockets import open_socket

_INTERESTS = {
    pycurl.POLL_IN: select.EPOLLIN,
    pycurl.POLL_OUT: select.EPOLLOUT,
    pycurl.POLL_INOUT: select.EPOLLIN | select.EPOLLOUT,
}

_LAST_DATA_RECEIVED = 52
"""Where `tcpi_last_data_recv`, in milliseconds, is in `struct tcp_info` of linux/tcp.h."""

_TCP_INFO_BYTES = _LAST_DATA_RECEIVED + 4

_SLICE = 64
"""Sockets that are served before the event loop has another turn: each may be a TLS handshake."""


class GuardedSockets:
    """Where one easy handle opens its sockets: each new connection, none of the kept ones."""

    __slots__ = ("_guard", "_origin", "_policy")

    def __init__(self) -> None:
        self._guard: DialGuard | None = None

    def begin(self, policy: EgressPolicy, origin: str) -> None:
        """For the next attempt: what it goes by, and the `scheme://host[:port]` it is for."""
        self._policy = policy
        self._origin = origin
        self._guard = None

    @property
    def opened(self) -> bool:
        """Whether the attempt came by here."""
        return self._guard is not None

    @property
    def refusal(self) -> str | None:
        """Why the attempt could dial nothing; None where it could, or did not want to."""
        return self._guard.refusal if self._guard is not None else None

    @property
    def refused_by_lookup(self) -> bool:
        """See `DialGuard.refused_by_lookup`."""
        return self._guard is not None and self._guard.refused_by_lookup

    def open(self, _purpose: int, address: Any) -> Any:
        """CURLOPT_OPENSOCKETFUNCTION: libcurl connects the socket to `address` and no other; where
        it gets none, it goes on with the next address of the host.
        """
        if self._guard is None:
            self._guard = DialGuard(self._policy, self._origin)
        internet = address.family in (socket.AF_INET, socket.AF_INET6)
        if not internet or not self._guard.allow_dial(*address.addr[:2]):
            return pycurl.SOCKET_BAD
        try:
            return _OwnedSocket(open_socket(address.family, address.socktype, address.protocol))
        except OSError:
            return pycurl.SOCKET_BAD


class _OwnedSocket:
    """A socket on its way into libcurl, which takes a duplicate: ours is closed behind it."""

    __slots__ = ("_socket",)

    def __init__(self, opened: socket.socket) -> None:
        self._socket = opened

    def fileno(self) -> int:
        return self._socket.fileno()

    def __del__(self) -> None:
        self._socket.close()


class Sockets:
    """What libcurl waits for, as an epoll, which the event loop watches like one socket.

    libcurl drops its interest in a connection after each answer and renews it with the next
    request. A dropped socket therefore stays registered: two system calls fewer per request, a
    fifth of its whole cost. One that speaks up while nobody wants it (the peer closed it) goes.
    """

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._registered: dict[int, int] = {}
        self.owners: dict[int, Any] = {}
        """The multi handle that waits for a socket, by the socket's number."""
        self.idle: set[int] = set()
        """Registered, but of no interest to libcurl now."""
        self._shared: set[int] = set()
        """Those of HTTP/2, where several requests go out in one turn."""

    def fileno(self) -> int:
        """The epoll's own descriptor: readable while a socket is ready (epoll(7))."""
        return self._epoll.fileno()

    def ready(self) -> list[tuple[int, int]]:
        """Some that are ready now, with what they are ready for; the others come next time."""
        return self._epoll.poll(0, _SLICE)

    def change(self, what: int, fd: int, multi: Any, _data: object) -> None:
        """CURLMOPT_SOCKETFUNCTION."""
        if what == pycurl.POLL_REMOVE:
            self.idle.add(fd)
            return
        self.idle.discard(fd)
        registered = self._registered.get(fd)
        if registered == what:
            return
        self._registered[fd] = what
        self.owners[fd] = multi
        act = self._epoll.register if registered is None else self._epoll.modify
        act(fd, _INTERESTS[what])

    def share(self, fd: int) -> None:
        """From now on what is sent to `fd` in one turn goes out together; below 0: nothing."""
        if fd >= 0:
            self._shared.add(fd)

    @contextmanager
    def corked(self) -> Iterator[None]:
        """Let shared sockets gather what is sent meanwhile (TCP_CORK, tcp(7)): libcurl writes each
        request by itself, and each would be a packet. The idle ones will hardly get more than one.
        """
        fds = [fd for fd in self._shared if fd not in self.idle]
        for fd in fds:
            _cork(fd, on=True)
        try:
            yield
        finally:
            for fd in fds:
                _cork(fd, on=False)

    def opened(self, fd: int, _purpose: int) -> int:
        """CURLOPT_SOCKOPTFUNCTION: a new socket, under a number that a closed one may have had."""
        os.set_inheritable(fd, False)  # noqa: FBT003  # the duplicate has lost it
        self._registered.pop(fd, None)
        self._shared.discard(fd)
        self.idle.discard(fd)
        return int(pycurl.SOCKOPT_OK)

    def forget(self, fd: int) -> None:
        """End the registration of an idle socket."""
        self.idle.discard(fd)
        self._shared.discard(fd)
        self._registered.pop(fd, None)
        with suppress(OSError):  # libcurl has closed it in the meantime
            self._epoll.unregister(fd)

    def remove_multi(self, multi: Any) -> None:
        """Forget what a multi handle waited for that is closed."""
        for fd in [fd for fd, owner in self.owners.items() if owner is multi]:
            del self.owners[fd]
            self.forget(fd)

    def close(self) -> None:
        """End the waiting; the sockets themselves are libcurl's."""
        self._epoll.close()


def silent_for(fd: int) -> float:
    """Seconds since data came in last over a TCP connection; 0.0 if nobody knows."""
    info = b""
    with suppress(OSError):  # libcurl has closed it in the meantime
        borrowed = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, fileno=fd)
        try:
            info = borrowed.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
        finally:
            borrowed.detach()
    if len(info) < _TCP_INFO_BYTES:
        return 0.0
    milliseconds: int = struct.unpack_from("=I", info, _LAST_DATA_RECEIVED)[0]
    return milliseconds / 1000


def _cork(fd: int, *, on: bool) -> None:
    with suppress(OSError):  # libcurl has closed it in the meantime
        borrowed = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, fileno=fd)
        try:
            borrowed.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, on)
        finally:
            borrowed.detach()
