"""One easy handle of libcurl: how an attempt is put to it, and what its end means."""

from enum import Enum
from typing import Any, Final

import pycurl  # type: ignore[import-untyped]  # the stubs of others lag behind its constants

from consumer.delivery.egress.guard import EgressPolicy
from consumer.delivery.http.authorities import Authorities
from consumer.delivery.http.curl_routes import FOR_GOOD, Route
from consumer.delivery.http.curl_sockets import GuardedSockets, Sockets, silent_for
from consumer.delivery.http.transport import (
    BODY_LIMIT,
    CONNECTION_LIFETIME,
    LEAST_FINAL,
    AttemptResult,
    Request,
)
from consumer.reasons import ErrorKind

_BLANK = ord(" ")
"""Ends every header line that has no value."""

_LEAST_REDIRECT: Final = 300

_LINE_ENDS: Final = b"\r\n"

_SILENT_SHARE: Final = 0.5
"""Part of an attempt's time at whose end nothing came over its connection, if that is dead. What
belongs to a new connection, such as SETTINGS, comes at the beginning."""

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


class Trouble(Enum):
    """What a failed attempt says of the way to its origin."""

    REFUSED = "refused"
    """The guard let none of the addresses pass that a lookup found."""
    UNREACHABLE = "unreachable"
    """No connection came about."""
    STALLED = "stalled"
    """A connection that may be given to other attempts gave no sign of life."""


class Easy:
    """An easy handle, which makes one attempt after the other, and where it opens sockets.

    Its methods are looked up once: a look-up on a handle costs more than some of them do.
    """

    __slots__ = (
        "_getinfo",
        "_guarded_sockets",
        "_label",
        "_limits",
        "_lines",
        "_setopt",
        "_watching",
        "authorities",
        "handle",
        "resolves",
        "route",
    )  # fmt: skip

    def __init__(self, sockets: Sockets) -> None:
        """Set all that is the same for every request."""
        self.handle: Any = pycurl.Curl()
        self._setopt = self.handle.setopt
        self._getinfo = self.handle.getinfo
        self._guarded_sockets = GuardedSockets()
        self._label = ""
        self._limits = (0.0, 0.0)
        self._lines: list[bytes] = []
        """The header lines of the answer, while it is watched."""
        self._watching = False
        self.authorities: Authorities | None = None
        """Kept here because libcurl knows no more than their path."""
        self.route: Route
        """Of the attempt."""
        self.resolves = False
        """Whether it brings addresses along."""
        for option, value in (
            (pycurl.NOSIGNAL, 1),
            (pycurl.PROXY, ""),  # stands before the environment's proxies
            (pycurl.NOPROXY, "*"),
            (pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
            (pycurl.FOLLOWLOCATION, 0),
            (pycurl.HTTPGET, 1),
            (pycurl.USERAGENT, ""),  # pycurl would name itself
            (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS),
            (pycurl.PIPEWAIT, 0),  # or the first request to a host, hanging, would hold up others
            (pycurl.TCP_NODELAY, 1),
            (pycurl.TCP_KEEPALIVE, 1),
            (pycurl.MAXLIFETIME_CONN, CONNECTION_LIFETIME),
            (pycurl.MAXFILESIZE, BODY_LIMIT),
            (pycurl.WRITEFUNCTION, len),  # discards the body without a Python frame
            (pycurl.OPENSOCKETFUNCTION, self._guarded_sockets.open),
            (pycurl.SOCKOPTFUNCTION, sockets.opened),
            (pycurl.SSL_VERIFYPEER, 1),
            (pycurl.SSL_VERIFYHOST, 2),
        ):
            self._setopt(option, value)
        # The libcurl inside a wheel would look where its build machine had authorities.
        self.handle.unsetopt(pycurl.CAPATH)

    def trust(self, authorities: Authorities) -> None:
        """Check receivers with these, and no others."""
        self._setopt(pycurl.CAINFO, authorities.path)
        self.authorities = authorities

    def prepare(self, request: Request, route: Route, policy: EgressPolicy) -> None:
        """What differs from request to request; what is set already is not set again."""
        setopt = self._setopt
        self.route = route
        self._guarded_sockets.begin(policy, route.origin)
        if self._label != route.label:
            self._dial(route)
        if route.watched or self._watching:
            self._watch(on=route.watched > 0)
        # On its own: as a part of the URL, libcurl would tidy it (%2f becomes %2F).
        setopt(pycurl.REQUEST_TARGET, request.target)
        setopt(
            pycurl.HTTPHEADER,
            [_blank(line) if line[-1] == _BLANK else line for line in request.headers],
        )
        limits = (request.timeout, request.connect_timeout)
        if self._limits != limits:
            setopt(pycurl.TIMEOUT_MS, _milliseconds(request.timeout))
            setopt(pycurl.CONNECTTIMEOUT_MS, _milliseconds(request.connect_timeout))
            self._limits = limits

    def resolve(self, lines: list[str]) -> None:
        """Bring along what names resolve to (CURLOPT_RESOLVE)."""
        if lines:
            self._setopt(pycurl.RESOLVE, lines)
        else:
            self.handle.unsetopt(pycurl.RESOLVE)  # pycurl lets an empty list change nothing
        self.resolves = bool(lines)

    @property
    def dialled(self) -> bool:
        """Whether the attempt opened a connection."""
        return self._guarded_sockets.opened

    def shared_socket(self) -> int:
        """The socket of the attempt's connection, where others use it at the same time (HTTP/2); -1
        where not. To be asked for before the handle is taken out of the multi handle.
        """
        if self._getinfo(pycurl.INFO_HTTP_VERSION) != pycurl.CURL_HTTP_VERSION_2_0:
            return -1
        number: int = self._getinfo(pycurl.ACTIVESOCKET)
        return number

    def response(self) -> AttemptResult:
        """What the receiver said."""
        getinfo = self._getinfo
        status: int = getinfo(pycurl.RESPONSE_CODE)
        duration = getinfo(pycurl.TOTAL_TIME_T) / 1_000_000
        if status < LEAST_FINAL:  # 101, which libcurl takes for the end of HTTP
            return AttemptResult(
                error=ErrorKind.CONNECT, detail="no final response", duration=duration
            )
        if self._watching and not self._ended_head():  # the connection's end ended it
            return AttemptResult(
                error=ErrorKind.CONNECT, detail="the header block was cut", duration=duration
            )
        return self._answer(status, duration)

    def _answer(self, status: int, duration: float) -> AttemptResult:
        if status < _LEAST_REDIRECT:  # nobody asks a success when to come back
            return AttemptResult(status=status, duration=duration)
        # 0 where it is absent, unreadable or past; libcurl reads dates and clamps at six hours.
        wait = self._getinfo(pycurl.RETRY_AFTER)
        return AttemptResult(status=status, duration=duration, retry_after=float(wait) or None)

    def failure(self, code: int, message: str) -> AttemptResult:
        """Why there is no response; `code` and `message` are libcurl's. If the header block was
        complete there is one, whatever became of the rest (docs/security.md#receivers).
        """
        refusal = self._guarded_sockets.refusal
        if refusal is not None:
            return AttemptResult(
                error=ErrorKind.BLOCKED,
                detail=refusal,
                blocked_by_lookup=self._guarded_sockets.refused_by_lookup,
            )
        status: int = self._getinfo(pycurl.RESPONSE_CODE)
        duration = self._getinfo(pycurl.TOTAL_TIME_T) / 1_000_000
        if status >= LEAST_FINAL and self._has_head(code):
            return self._answer(status, duration)
        return AttemptResult(
            error=_ERRORS.get(code, ErrorKind.CONNECT),
            detail=message or f"libcurl error {code}",
            duration=duration,
        )

    def trouble(self, answer: AttemptResult) -> Trouble | None:
        """What `answer`, by `failure`, says of the way to the origin. To be asked for before the
        handle is taken out of the multi handle.
        """
        if answer.error is None:
            return None
        if answer.error is ErrorKind.BLOCKED:
            return Trouble.REFUSED if answer.blocked_by_lookup else None
        if self._label != self.route.label:  # it began before the last trouble was heard of
            return None
        if self.dialled and not self._connected():
            return Trouble.UNREACHABLE
        stalled = answer.error is ErrorKind.TIMEOUT and self._stalled(answer.duration)
        return Trouble.STALLED if stalled else None

    def _connected(self) -> bool:
        """Whether the connection that was dialled came to stand, TLS included."""
        secure = self.route.origin.startswith("https:")
        return bool(self._getinfo(pycurl.APPCONNECT_TIME_T if secure else pycurl.CONNECT_TIME_T))

    def _stalled(self, waited: float) -> bool:
        """Whether the connection may be dead, and other attempts might get it, or one like it. One
        over which others are answered (HTTP/2) has not been silent for long.
        """
        number: int = self._getinfo(pycurl.ACTIVESOCKET)
        if number < 0:  # closed by now; if it was a kept one, its like are kept too
            return not self.dialled
        return silent_for(number) >= waited * _SILENT_SHARE

    def _dial(self, route: Route) -> None:
        self._setopt(pycurl.URL, route.origin)
        through = route.connect_to()
        if through:
            self._setopt(pycurl.CONNECT_TO, through)
        else:
            self.handle.unsetopt(pycurl.CONNECT_TO)
        self._label = route.label

    def _watch(self, *, on: bool) -> None:
        """Hear the lines of the answer's header block, or none: see `Route.watched`."""
        self._lines.clear()
        if on == self._watching:
            return
        if on:
            self._setopt(pycurl.HEADERFUNCTION, self._lines.append)  # without a Python frame
        else:
            self.handle.unsetopt(pycurl.HEADERFUNCTION)
        self._watching = on

    def _ended_head(self) -> bool:
        """Whether the final header block came to its empty line; for an answer that is watched."""
        if is_whole(self._lines):
            self.route.watched -= 1
            return True
        self.route.watched = FOR_GOOD
        return False

    def _has_head(self, code: int) -> bool:
        """The same for an answer that did not end as it should."""
        if code == pycurl.E_FILESIZE_EXCEEDED:  # the body was too long, or is said to be
            return True
        self.route.watched = FOR_GOOD
        if self._watching:
            return is_whole(self._lines)
        return (
            code == pycurl.E_PARTIAL_FILE
            or bool(self._getinfo(pycurl.SIZE_DOWNLOAD_T) > 0)
            or bool(self._getinfo(pycurl.CONTENT_LENGTH_DOWNLOAD_T) >= 0)
        )


def is_whole(lines: list[bytes]) -> bool:
    """Whether the header lines hold the final header block to its empty line. Interim blocks may
    stand before it and trailers behind it.
    """
    whole = False
    for line in lines:
        if line.startswith(b"HTTP/"):
            whole = False
        elif line[0] in _LINE_ENDS:
            whole = True
    return whole


def _blank(line: bytes) -> bytes:
    """A header without a value as libcurl wants it: `name;`, where `name:` would drop it."""
    name, _, value = line.partition(b": ")
    return line if value else name + b";"


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000) or 1  # 0 would mean libcurl's default
