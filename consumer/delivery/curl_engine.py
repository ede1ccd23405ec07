"""The part that speaks to libcurl: one multi handle, driven by socket events, on one thread."""

import select
import ssl
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Any

import pycurl  # type: ignore[import-untyped]  # the stubs of others lag behind its constants

from consumer.delivery.transport import BODY_LIMIT, Answer, ErrorKind, Request

Done = Callable[[Answer], None]

_IDLE_CONNECTIONS = 1024
"""Kept open for reuse, all hosts together; above the dispatcher's concurrency, or each answer
would close a connection."""

_LIFETIME = 300
"""Seconds after which a connection is not used again, so that a changed DNS answer is followed."""

_SCHEME_LENGTH = len("https://")

_INTERESTS = {
    pycurl.POLL_IN: select.EPOLLIN,
    pycurl.POLL_OUT: select.EPOLLOUT,
    pycurl.POLL_INOUT: select.EPOLLIN | select.EPOLLOUT,
}
_READY = {
    select.EPOLLIN: pycurl.CSELECT_IN,
    select.EPOLLOUT: pycurl.CSELECT_OUT,
    select.EPOLLIN | select.EPOLLOUT: pycurl.CSELECT_IN | pycurl.CSELECT_OUT,
}
_BROKEN = pycurl.CSELECT_IN | pycurl.CSELECT_OUT | pycurl.CSELECT_ERR

_ERRORS = {
    pycurl.E_OPERATION_TIMEDOUT: ErrorKind.TIMEOUT,
    pycurl.E_COULDNT_RESOLVE_HOST: ErrorKind.DNS,
    pycurl.E_SSL_CONNECT_ERROR: ErrorKind.TLS,
    pycurl.E_PEER_FAILED_VERIFICATION: ErrorKind.TLS,
    pycurl.E_SSL_CACERT_BADFILE: ErrorKind.TLS,
    pycurl.E_SSL_CERTPROBLEM: ErrorKind.TLS,
    pycurl.E_SSL_CIPHER: ErrorKind.TLS,
    pycurl.E_SSL_CRL_BADFILE: ErrorKind.TLS,
    pycurl.E_SSL_INVALIDCERTSTATUS: ErrorKind.TLS,
    pycurl.E_SSL_ISSUER_ERROR: ErrorKind.TLS,
}
"""Every other one is a connect error: refused, reset, empty, garbled, cut short."""


class Engine:
    """Starts attempts and collects their answers; a caller's loop goes wait, react, start, collect.

    `waker`: an eventfd that ends `wait`. `ca_file` as for `CurlTransport`.
    """

    def __init__(self, waker: int, *, ca_file: str | None) -> None:
        self._waker = waker
        self._ca_file = ca_file
        self._sockets = _Sockets(waker)
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._sockets.change)
        self._multi.setopt(pycurl.M_MAXCONNECTS, _IDLE_CONNECTIONS)
        self._free: list[Any] = []
        self.under_way: dict[Any, Done] = {}
        """By easy handle."""
        self._refused: list[tuple[Done, Answer]] = []

    def wait(self, *, block: bool) -> list[tuple[int, int]]:
        """Sleep until a socket is ready, a timer of libcurl is due, or the waker was written to."""
        milliseconds = self._multi.timeout() if block else 0
        return self._sockets.wait(None if milliseconds < 0 else milliseconds / 1000)

    def react(self, events: list[tuple[int, int]]) -> None:
        """Let libcurl read and write where it can."""
        act, idle = self._multi.socket_action, self._sockets.idle
        for fd, mask in events:
            if fd in idle:
                self._sockets.forget(fd)
            elif fd != self._waker:
                act(fd, _READY.get(mask, _BROKEN))

    def start(self, request: Request, done: Done) -> None:
        """Begin an attempt; it goes out with the next `collect`. Never raises."""
        try:
            handle = self._free.pop() if self._free else _handle(self._sockets, self._ca_file)
            _prepare(handle, request)
            self._multi.add_handle(handle)
        except Exception as error:  # noqa: BLE001  # a request that cannot be sent is answered too
            refusal = Answer(
                error=ErrorKind.CONNECT, detail=f"not sendable: {type(error).__name__}"
            )
            self._refused.append((done, refusal))
        else:
            self.under_way[handle] = done

    def collect(self) -> list[tuple[Done, Answer]]:
        """Run what was started or timed out, and take what is finished."""
        self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        answers, self._refused = self._refused, []
        left = 1
        while left:
            left, succeeded, failed = self._multi.info_read()
            for handle in succeeded:
                answers.append((self._release(handle), _response(handle)))
            for handle, code, message in failed:
                answers.append((self._release(handle), _failure(handle, code, message)))
        return answers

    def close(self) -> None:
        """Close every connection, whatever is under way."""
        for handle in self.under_way:
            self._multi.remove_handle(handle)
        for handle in (*self.under_way, *self._free):
            handle.close()
        self._multi.close()
        self._sockets.close()

    def _release(self, handle: Any) -> Done:
        self._multi.remove_handle(handle)
        self._free.append(handle)
        return self.under_way.pop(handle)


class _Sockets:
    """What libcurl waits for, as an epoll.

    libcurl drops its interest in a connection after each answer and renews it with the next
    request. A dropped socket therefore stays registered: two system calls fewer per request, a
    fifth of its whole cost. One that speaks up while nobody wants it (the peer closed it) goes.
    """

    def __init__(self, waker: int) -> None:
        self._epoll = select.epoll()
        # Edge-triggered: the counter of an eventfd then never has to be read back.
        self._epoll.register(waker, select.EPOLLIN | select.EPOLLET)
        self._registered: dict[int, int] = {}
        self.idle: set[int] = set()
        """Registered, but of no interest to libcurl now."""

    def wait(self, seconds: float | None) -> list[tuple[int, int]]:
        return self._epoll.poll(seconds)

    def change(self, what: int, fd: int, _multi: object, _data: object) -> None:
        """CURLMOPT_SOCKETFUNCTION."""
        if what == pycurl.POLL_REMOVE:
            self.idle.add(fd)
            return
        self.idle.discard(fd)
        registered = self._registered.get(fd)
        if registered == what:
            return
        self._registered[fd] = what
        act = self._epoll.register if registered is None else self._epoll.modify
        act(fd, _INTERESTS[what])

    def opened(self, fd: int, _purpose: int) -> int:
        """CURLOPT_SOCKOPTFUNCTION: a new socket, under a number that a closed one may have had."""
        self._registered.pop(fd, None)
        self.idle.discard(fd)
        return int(pycurl.SOCKOPT_OK)

    def forget(self, fd: int) -> None:
        """End the registration of an idle socket."""
        self.idle.discard(fd)
        self._registered.pop(fd, None)
        with suppress(OSError):  # libcurl has closed it in the meantime
            self._epoll.unregister(fd)

    def close(self) -> None:
        self._epoll.close()


def _handle(sockets: _Sockets, ca_file: str | None) -> Any:
    """An easy handle with all that is the same for every request."""
    handle = pycurl.Curl()
    for option, value in (
        (pycurl.NOSIGNAL, 1),
        (pycurl.PROXY, ""),  # stands before the environment's proxies
        (pycurl.NOPROXY, "*"),
        (pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
        (pycurl.FOLLOWLOCATION, 0),
        (pycurl.HTTPGET, 1),
        (pycurl.USERAGENT, ""),  # pycurl would name itself
        (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS),
        (pycurl.PIPEWAIT, 0),  # or the first request to a host, hanging, would hold back the others
        (pycurl.TCP_NODELAY, 1),
        (pycurl.TCP_KEEPALIVE, 1),
        (pycurl.MAXLIFETIME_CONN, _LIFETIME),
        (pycurl.MAXFILESIZE, BODY_LIMIT),
        (pycurl.WRITEFUNCTION, len),  # discards the body without a Python frame
        (pycurl.SOCKOPTFUNCTION, sockets.opened),
        (pycurl.SSL_VERIFYPEER, 1),
        (pycurl.SSL_VERIFYHOST, 2),
    ):
        handle.setopt(option, value)
    _trust(handle, ca_file)
    return handle


def _prepare(handle: Any, request: Request) -> None:
    """What differs from request to request."""
    cut = request.url.index("/", _SCHEME_LENGTH)
    handle.setopt(pycurl.URL, request.url[:cut])
    # On its own: as a part of the URL, libcurl would tidy it (%2f becomes %2F).
    handle.setopt(pycurl.REQUEST_TARGET, request.url[cut:])
    handle.setopt(pycurl.HTTPHEADER, [_line(line) for line in request.headers])
    handle.setopt(pycurl.TIMEOUT_MS, _milliseconds(request.timeout))
    handle.setopt(pycurl.CONNECTTIMEOUT_MS, _milliseconds(request.connect_timeout))


def _trust(handle: Any, ca_file: str | None) -> None:
    """The given authorities, else those that Python's own ssl module would use: the libcurl inside
    a wheel looks where its build machine had them.
    """
    system = ssl.get_default_verify_paths()
    cafile, capath = (ca_file, None) if ca_file else (system.cafile, system.capath)
    for option, path in ((pycurl.CAINFO, cafile), (pycurl.CAPATH, capath)):
        if path is not None:
            handle.setopt(option, path)
        else:
            handle.unsetopt(option)


def _line(line: bytes) -> bytes:
    """As libcurl wants it: `name:` would drop a header, `name;` is one without a value."""
    if line.endswith(b": ") and line.index(b":") == len(line) - 2:
        return line[:-2] + b";"
    return line


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000) or 1  # 0 would mean libcurl's default


def _response(handle: Any) -> Answer:
    status = handle.getinfo(pycurl.RESPONSE_CODE)
    duration = handle.getinfo(pycurl.TOTAL_TIME_T) / 1_000_000
    if status < HTTPStatus.MULTIPLE_CHOICES:  # nobody asks a success when to come back
        return Answer(status=status, duration=duration)
    # 0 where the header is absent, unreadable or past; libcurl reads dates and clamps at six hours.
    wait = handle.getinfo(pycurl.RETRY_AFTER)
    return Answer(status=status, duration=duration, retry_after=float(wait) or None)


def _failure(handle: Any, code: int, message: str) -> Answer:
    if code == pycurl.E_FILESIZE_EXCEEDED:  # the status is in; the rest of the body does not matter
        return _response(handle)
    return Answer(
        error=_ERRORS.get(code, ErrorKind.CONNECT),
        detail=message or f"libcurl error {code}",
        duration=handle.getinfo(pycurl.TOTAL_TIME_T) / 1_000_000,
    )
