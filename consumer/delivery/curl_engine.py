"""The part that speaks to libcurl: driven by socket events and by time, and never waiting."""

import select
import ssl
import threading
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import pycurl  # type: ignore[import-untyped]  # the stubs of others lag behind its constants

from consumer.delivery.curl_sockets import Door, Sockets
from consumer.delivery.guard import Policy
from consumer.delivery.resolver import Addresses
from consumer.delivery.transport import BODY_LIMIT, Answer, Done, ErrorKind, Request

_IDLE_CONNECTIONS = 1024
"""Kept open for reuse, all hosts together; above the dispatcher's concurrency, or each answer
would close a connection."""

_LIFETIME = 300
"""Seconds after which a connection is not used again, so that a changed DNS answer is followed."""

_BLANK = ord(" ")
"""Ends every header line that has no value."""

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
    """Starts attempts and collects their answers; a caller's turn goes react, start, collect.

    The turn is due when `fileno` is readable, and once `timeout` has passed. `ca_file` as for
    `CurlTransport`.
    """

    def __init__(self, policy: Policy, *, ca_file: str | None) -> None:
        self._ca_file = ca_file
        self._sockets = Sockets()
        self._free: list[tuple[Any, Door]] = []
        self._policy = policy
        self._pools = [_Pool(self._sockets)]
        """The one in use comes last; the others end with their last attempt."""
        self._refused: list[tuple[Done, Answer]] = []

    def fileno(self) -> int:
        """Readable while a socket of libcurl is ready."""
        return self._sockets.fileno()

    def timeout(self) -> float | None:
        """Seconds until a timer of libcurl is due; None: it has none."""
        waits = [ms for pool in self._pools if (ms := pool.multi.timeout()) >= 0]
        return min(waits) / 1000 if waits else None

    def restrict(self, policy: Policy) -> None:
        """Begin attempts by this policy, on new connections only."""
        self._policy = policy
        self._pools.append(_Pool(self._sockets))
        self._drop_retired()

    def react(self) -> None:
        """Let libcurl read and write where it can now."""
        idle, owners = self._sockets.idle, self._sockets.owners
        for fd, mask in self._sockets.ready():
            if fd in idle:
                self._sockets.forget(fd)
            else:
                owners[fd].socket_action(fd, _READY.get(mask, _BROKEN))

    def start(self, request: Request, addresses: Addresses, done: Done) -> None:
        """Begin an attempt; it goes out with the next `collect`. Never raises. `addresses` are the
        host's, empty where it is no name.
        """
        pool = self._pools[-1]
        try:
            pair = self._free.pop() if self._free else _handle(self._sockets, self._ca_file)
            handle, door = pair
            _prepare(handle, door, request, self._policy)
            pool.resolve(handle, request.origin, addresses)
            pool.multi.add_handle(handle)
        except Exception as error:  # noqa: BLE001  # a request that cannot be sent is answered too
            refusal = Answer(
                error=ErrorKind.CONNECT, detail=f"not sendable: {type(error).__name__}"
            )
            self._refused.append((done, refusal))
        else:
            pool.under_way[handle] = done, door

    def collect(self) -> list[tuple[Done, Answer]]:
        """Run what was started or timed out, and take what is finished."""
        answers, self._refused = self._refused, []
        for pool in self._pools:
            self._collect(pool, answers)
        if len(self._pools) > 1:
            self._drop_retired()
        return answers

    def unanswered(self) -> list[Done]:
        """Those of the attempts that `collect` did not return."""
        refused = [done for done, _ in self._refused]
        return refused + [done for pool in self._pools for done, _ in pool.under_way.values()]

    def close(self) -> list[threading.Thread]:
        """Close every connection, whatever is under way; the threads end when that is done."""
        closing = [pool.close() for pool in self._pools]
        for handle, _ in self._free:
            handle.close()
        self._sockets.close()
        return closing

    def _collect(self, pool: "_Pool", answers: list[tuple[Done, Answer]]) -> None:
        pool.multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        pool.began()
        left = 1
        while left:
            left, succeeded, failed = pool.multi.info_read()
            for handle in succeeded:
                done, _ = self._release(pool, handle)
                answers.append((done, _response(handle)))
            for handle, code, message in failed:
                done, door = self._release(pool, handle)
                answers.append((done, _failure(handle, door, code, message)))

    def _release(self, pool: "_Pool", handle: Any) -> tuple[Done, Door]:
        pool.multi.remove_handle(handle)
        done, door = pool.under_way.pop(handle)
        self._free.append((handle, door))
        return done, door

    def _drop_retired(self) -> None:
        for pool in self._pools[:-1]:
            if not pool.under_way:
                self._pools.remove(pool)
                pool.close()
                self._sockets.disown(pool.multi)


class _Pool:
    """The connections that were made by one policy: one multi handle, and what goes on in it.

    A changed policy begins a new pool, so that no request goes over a connection that it forbids.
    """

    __slots__ = ("_beginning", "_resolved", "multi", "under_way")

    def __init__(self, sockets: Sockets) -> None:
        self.multi = pycurl.CurlMulti()
        self.multi.setopt(pycurl.M_SOCKETFUNCTION, sockets.change)
        self.multi.setopt(pycurl.M_MAXCONNECTS, _IDLE_CONNECTIONS)
        self.under_way: dict[Any, tuple[Done, Door]] = {}
        """By easy handle."""
        self._resolved: dict[str, Addresses] = {}
        """By origin, what libcurl has in its cache; it looks nothing up by itself."""
        self._beginning: dict[str, Addresses] = {}
        """What it will have, once the attempts that bring it along have begun."""

    def resolve(self, handle: Any, origin: str, addresses: Addresses) -> None:
        """Have libcurl dial `addresses`."""
        if addresses and self._resolved.get(origin) is not addresses:
            self._beginning[origin] = addresses
            handle.setopt(pycurl.RESOLVE, [_resolved(origin, addresses)])
            handle.resolves = True
        elif handle.resolves:
            handle.unsetopt(pycurl.RESOLVE)
            handle.resolves = False

    def began(self) -> None:
        """All attempts that were started have begun."""
        if self._beginning:
            self._resolved |= self._beginning
            self._beginning.clear()

    def close(self) -> threading.Thread:
        """In a thread that holds up nobody's exit, for whatever libcurl may wait for there."""
        for handle in self.under_way:
            self.multi.remove_handle(handle)
            handle.close()
        self.multi.setopt(pycurl.M_SOCKETFUNCTION, _ignore)
        closing = threading.Thread(target=self.multi.close, name="curl-close", daemon=True)
        closing.start()
        return closing


def _ignore(*_args: object) -> None:
    """CURLMOPT_SOCKETFUNCTION of a multi handle that ends, on another thread."""


def _handle(sockets: Sockets, ca_file: str | None) -> tuple[Any, Door]:
    """An easy handle with all that is the same for every request, and where it opens sockets."""
    handle, door = pycurl.Curl(), Door()
    handle.origin, handle.limits, handle.resolves = "", (), False
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
        (pycurl.OPENSOCKETFUNCTION, door.open),
        (pycurl.SOCKOPTFUNCTION, sockets.opened),
        (pycurl.SSL_VERIFYPEER, 1),
        (pycurl.SSL_VERIFYHOST, 2),
    ):
        handle.setopt(option, value)
    _trust(handle, ca_file)
    return handle, door


def _prepare(handle: Any, door: Door, request: Request, policy: Policy) -> None:
    """What differs from request to request; what the handle has already is not set again."""
    origin = request.origin
    door.begin(policy, origin)
    if handle.origin != origin:
        handle.setopt(pycurl.URL, origin)
        handle.origin = origin
    # On its own: as a part of the URL, libcurl would tidy it (%2f becomes %2F).
    handle.setopt(pycurl.REQUEST_TARGET, request.target)
    handle.setopt(
        pycurl.HTTPHEADER,
        [_blank(line) if line[-1] == _BLANK else line for line in request.headers],
    )
    limits = (request.timeout, request.connect_timeout)
    if handle.limits != limits:
        handle.setopt(pycurl.TIMEOUT_MS, _milliseconds(request.timeout))
        handle.setopt(pycurl.CONNECTTIMEOUT_MS, _milliseconds(request.connect_timeout))
        handle.limits = limits


def _resolved(origin: str, addresses: Addresses) -> str:
    """CURLOPT_RESOLVE's form, which stays in the cache until the next one for that origin."""
    url = urlsplit(origin)
    port = url.port or (443 if url.scheme == "https" else 80)
    listed = ",".join(f"[{each}]" if ":" in each else each for each in addresses)
    return f"{url.hostname}:{port}:{listed}"


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


def _blank(line: bytes) -> bytes:
    """A header without a value as libcurl wants it: `name;`, where `name:` would drop it."""
    name, _, value = line.partition(b": ")
    return line if value else name + b";"


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000) or 1  # 0 would mean libcurl's default


def _response(handle: Any) -> Answer:
    status = handle.getinfo(pycurl.RESPONSE_CODE)
    duration = handle.getinfo(pycurl.TOTAL_TIME_T) / 1_000_000
    if status < HTTPStatus.OK:  # 101, which libcurl takes for the end of HTTP
        return Answer(error=ErrorKind.CONNECT, detail="no final response", duration=duration)
    if status < HTTPStatus.MULTIPLE_CHOICES:  # nobody asks a success when to come back
        return Answer(status=status, duration=duration)
    # 0 where the header is absent, unreadable or past; libcurl reads dates and clamps at six hours.
    wait = handle.getinfo(pycurl.RETRY_AFTER)
    return Answer(status=status, duration=duration, retry_after=float(wait) or None)


def _failure(handle: Any, door: Door, code: int, message: str) -> Answer:
    if code == pycurl.E_FILESIZE_EXCEEDED:  # the status is in; the rest of the body does not matter
        return _response(handle)
    refusal = door.refusal
    if refusal is not None:
        return Answer(error=ErrorKind.BLOCKED, detail=refusal)
    return Answer(
        error=_ERRORS.get(code, ErrorKind.CONNECT),
        detail=message or f"libcurl error {code}",
        duration=handle.getinfo(pycurl.TOTAL_TIME_T) / 1_000_000,
    )
