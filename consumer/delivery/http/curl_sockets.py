"""The sockets of libcurl: opened if the guard allows it, and watched by one epoll."""

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

_EPOLL_MASKS = {
    pycurl.POLL_IN: select.EPOLLIN,
    pycurl.POLL_OUT: select.EPOLLOUT,
    pycurl.POLL_INOUT: select.EPOLLIN | select.EPOLLOUT,
}

_LAST_DATA_RECEIVED_OFFSET = 52
"""Byte offset of `tcpi_last_data_recv`, in milliseconds, in `struct tcp_info` of linux/tcp.h."""

_TCP_INFO_BYTES = _LAST_DATA_RECEIVED_OFFSET + 4

_MAX_READY_SOCKETS = 64
"""Sockets served in one loop iteration: each may be a TLS handshake."""


class GuardedSockets:
    """Opens the sockets of one easy handle's new connections, if the guard allows it."""

    __slots__ = ("_guard", "_origin", "_policy")

    def __init__(self) -> None:
        self._guard: DialGuard | None = None

    def begin(self, policy: EgressPolicy, origin: str) -> None:
        """Begin an attempt by `policy` to `origin` (`scheme://host[:port]`)."""
        self._policy = policy
        self._origin = origin
        self._guard = None

    @property
    def opened(self) -> bool:
        """Whether the attempt asked for a new connection."""
        return self._guard is not None

    @property
    def refusal(self) -> str | None:
        """Why the attempt dialled nothing; None if it dialled or did not ask to."""
        return self._guard.refusal if self._guard is not None else None

    @property
    def refused_by_lookup(self) -> bool:
        """See `DialGuard.refused_by_lookup`."""
        return self._guard is not None and self._guard.refused_by_lookup

    def open(self, _purpose: int, address: Any) -> Any:
        """CURLOPT_OPENSOCKETFUNCTION. libcurl connects the socket to `address` only; if it gets
        none, it tries the host's next address.
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
    """A socket that is closed once libcurl has taken a duplicate of it."""

    __slots__ = ("_socket",)

    def __init__(self, opened: socket.socket) -> None:
        self._socket = opened

    def fileno(self) -> int:
        return self._socket.fileno()

    def __del__(self) -> None:
        self._socket.close()


class Sockets:
    """libcurl's sockets in one epoll, which the event loop watches like one socket.

    libcurl drops its interest in a connection after each answer and renews it with the next
    request. The idle socket stays registered meanwhile, which saves two system calls per request, a
    fifth of its cost. An idle socket that becomes ready (the peer closed it) is removed.
    """

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._registered: dict[int, int] = {}
        self.owners: dict[int, Any] = {}
        """The multi handle that waits for a socket, by file descriptor."""
        self.idle: set[int] = set()
        """Registered sockets that libcurl does not wait for now."""
        self._shared: set[int] = set()
        """HTTP/2 sockets, over which several requests go out in one loop iteration."""

    def fileno(self) -> int:
        """The epoll's descriptor, which is readable while a socket is ready (epoll(7))."""
        return self._epoll.fileno()

    def ready(self) -> list[tuple[int, int]]:
        """At most `_MAX_READY_SOCKETS` ready sockets and their event masks."""
        return self._epoll.poll(0, _MAX_READY_SOCKETS)

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
        act(fd, _EPOLL_MASKS[what])

    def share(self, fd: int) -> None:
        """Send together what is sent to `fd` in one iteration; a negative `fd` is ignored."""
        if fd >= 0:
            self._shared.add(fd)

    @contextmanager
    def corked(self) -> Iterator[None]:
        """Gather what is sent meanwhile over shared sockets (TCP_CORK, tcp(7)): otherwise each
        request would be a packet. Idle sockets rarely get more than one request.
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
        """CURLOPT_SOCKOPTFUNCTION of a new socket, whose number a closed one may have had."""
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
        """Forget the sockets of a closed multi handle."""
        for fd in [fd for fd, owner in self.owners.items() if owner is multi]:
            del self.owners[fd]
            self.forget(fd)

    def close(self) -> None:
        """Close the epoll; the sockets themselves are libcurl's."""
        self._epoll.close()


def silent_for(fd: int) -> float:
    """Seconds since data last came in over a TCP connection; 0.0 if unknown."""
    info = b""
    with suppress(OSError):  # libcurl has closed it in the meantime
        borrowed = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, fileno=fd)
        try:
            info = borrowed.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
        finally:
            borrowed.detach()
    if len(info) < _TCP_INFO_BYTES:
        return 0.0
    milliseconds: int = struct.unpack_from("=I", info, _LAST_DATA_RECEIVED_OFFSET)[0]
    return milliseconds / 1000


def _cork(fd: int, *, on: bool) -> None:
    with suppress(OSError):  # libcurl has closed it in the meantime
        borrowed = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, fileno=fd)
        try:
            borrowed.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, on)
        finally:
            borrowed.detach()
