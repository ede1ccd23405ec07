"""One easy handle of libcurl: sets it up for an attempt, and reads the attempt's result."""

from enum import Enum
from typing import Any, Final

import pycurl  # type: ignore[import-untyped]  # the stubs of others lag behind its constants

from consumer.delivery.egress.guard import EgressPolicy
from consumer.delivery.http.authorities import Authorities
from consumer.delivery.http.curl_answers import ERROR_KINDS, TOO_LONG, BoundedBody, is_whole
from consumer.delivery.http.curl_routes import ALL_ANSWERS, Route
from consumer.delivery.http.curl_sockets import GuardedSockets, Sockets, silent_for
from consumer.delivery.http.transport import (
    CONNECTION_LIFETIME_SECONDS,
    MAX_BODY_BYTES,
    MIN_FINAL_STATUS,
    AnswerTaker,
    AttemptResult,
    Request,
)
from consumer.reasons import ErrorKind

_SPACE = ord(" ")
"""The last byte of a header line without a value."""

_MIN_REDIRECT_STATUS: Final = 300
_MIN_SILENT_FRACTION: Final = 0.5
"""A connection may be dead if nothing came in for this last part of an attempt's time. Data of a
new connection, such as SETTINGS, comes at the beginning."""


class RouteProblem(Enum):
    """A problem of the way to an origin, found by a failed attempt."""

    REFUSED = "refused"
    """The guard refused all addresses that a lookup found."""
    UNREACHABLE = "unreachable"
    """No connection could be made."""
    STALLED = "stalled"
    """A connection that other attempts may reuse was silent."""


class Easy:
    """An easy handle, which makes one attempt after the other, and its guarded sockets.

    The handle's methods are looked up once: a look-up costs more than some of them do.
    """

    __slots__ = (
        "_getinfo",
        "_guarded_sockets",
        "_label",
        "_limits",
        "_lines",
        "_setopt",
        "_taker",
        "_watching",
        "authorities",
        "handle",
        "resolves",
        "route",
    )  # fmt: skip

    def __init__(self, sockets: Sockets, taker: AnswerTaker | None = None) -> None:
        """Set the options that are the same for every request; `taker`: see `AnswerTaker`."""
        self.handle: Any = pycurl.Curl()
        self._setopt = self.handle.setopt
        self._getinfo = self.handle.getinfo
        self._guarded_sockets = GuardedSockets()
        self._label = ""
        self._limits = (0.0, 0.0)
        self._lines: list[bytes] = []
        """The header lines of the answer, if it is watched."""
        self._watching = False
        self._taker = taker
        self.authorities: Authorities | None = None
        """The authorities in use, kept alive here because libcurl has only their path."""
        self.route: Route
        """The route of the attempt."""
        self.resolves = False
        """Whether the attempt sets addresses."""
        for option, value in (
            (pycurl.NOSIGNAL, 1),
            (pycurl.PROXY, ""),  # overrides the environment's proxies
            (pycurl.NOPROXY, "*"),
            (pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
            (pycurl.FOLLOWLOCATION, 0),
            (pycurl.HTTPGET, 1),
            (pycurl.USERAGENT, ""),  # pycurl would name itself
            (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS),
            (pycurl.PIPEWAIT, 0),  # else a first request that hangs would block others to its host
            (pycurl.TCP_NODELAY, 1),
            (pycurl.TCP_KEEPALIVE, 1),
            (pycurl.MAXLIFETIME_CONN, int(CONNECTION_LIFETIME_SECONDS)),
            (pycurl.MAXFILESIZE, MAX_BODY_BYTES if taker is None else 0),
            # `len` discards without a Python frame.
            (pycurl.WRITEFUNCTION, len if taker is None else BoundedBody(taker).take),
            (pycurl.OPENSOCKETFUNCTION, self._guarded_sockets.open),
            (pycurl.SOCKOPTFUNCTION, sockets.opened),
            (pycurl.SSL_VERIFYPEER, 1),
            (pycurl.SSL_VERIFYHOST, 2),
        ):
            self._setopt(option, value)
        # The libcurl in a wheel would use the path of its build machine.
        self.handle.unsetopt(pycurl.CAPATH)
        self._receive_lines()

    def trust(self, authorities: Authorities) -> None:
        """Verify receivers with `authorities` only."""
        self._setopt(pycurl.CAINFO, authorities.path)
        self.authorities = authorities

    def prepare(self, request: Request, route: Route, policy: EgressPolicy) -> None:
        """Set the options that differ between requests, except those that are set already."""
        setopt = self._setopt
        self.route = route
        self._guarded_sockets.begin(policy, route.origin)
        if self._label != route.label:
            self._dial(route)
        if route.watched_answers or self._watching:
            self._watch(on=route.watched_answers > 0)
        # libcurl would normalise it as a part of the URL (%2f becomes %2F).
        setopt(pycurl.REQUEST_TARGET, request.target)
        setopt(
            pycurl.HTTPHEADER,
            [_blank(line) if line[-1] == _SPACE else line for line in request.headers],
        )
        limits = (request.timeout, request.connect_timeout)
        if self._limits != limits:
            setopt(pycurl.TIMEOUT_MS, _milliseconds(request.timeout))
            setopt(pycurl.CONNECTTIMEOUT_MS, _milliseconds(request.connect_timeout))
            self._limits = limits

    def resolve(self, lines: list[str]) -> None:
        """Set the addresses of names (CURLOPT_RESOLVE)."""
        if lines:
            self._setopt(pycurl.RESOLVE, lines)
        else:
            self.handle.unsetopt(pycurl.RESOLVE)  # pycurl ignores an empty list
        self.resolves = bool(lines)

    @property
    def dialled(self) -> bool:
        """Whether the attempt opened a connection."""
        return self._guarded_sockets.opened

    def shared_socket(self) -> int:
        """The socket of the attempt's connection if it is shared (HTTP/2), otherwise -1. The handle
        must still be in the multi handle.
        """
        if self._getinfo(pycurl.INFO_HTTP_VERSION) != pycurl.CURL_HTTP_VERSION_2_0:
            return -1
        number: int = self._getinfo(pycurl.ACTIVESOCKET)
        return number

    def response(self) -> AttemptResult:
        """The result of an attempt that libcurl counts as a success."""
        getinfo = self._getinfo
        status: int = getinfo(pycurl.RESPONSE_CODE)
        duration = getinfo(pycurl.TOTAL_TIME_T) / 1_000_000
        if status < MIN_FINAL_STATUS:  # 101, after which libcurl expects another protocol
            return AttemptResult(
                error=ErrorKind.CONNECT, detail="no final response", duration=duration
            )
        if self._watching and not self._ended_head():
            return AttemptResult(
                error=ErrorKind.CONNECT, detail="the header block was cut", duration=duration
            )
        return self._answer(status, duration)

    def _answer(self, status: int, duration: float) -> AttemptResult:
        if status < _MIN_REDIRECT_STATUS:  # Retry-After has no meaning after a success
            return AttemptResult(status=status, duration=duration)
        # 0 if it is absent, unreadable or past; libcurl reads dates and clamps at six hours.
        wait = self._getinfo(pycurl.RETRY_AFTER)
        return AttemptResult(status=status, duration=duration, retry_after=float(wait) or None)

    def failure(self, code: int, message: str) -> AttemptResult:
        """The result of an attempt that failed with libcurl's `code` and `message`. It has a status
        if the header block was complete (docs/security.md#receivers).
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
        if status >= MIN_FINAL_STATUS and self._has_head(code):
            return self._answer(status, duration)
        return AttemptResult(
            error=ERROR_KINDS.get(code, ErrorKind.CONNECT),
            detail=message or f"libcurl error {code}",
            duration=duration,
        )

    def route_problem(self, answer: AttemptResult) -> RouteProblem | None:
        """The problem of the way to the origin that `answer`, made by `failure`, shows. The handle
        must still be in the multi handle.
        """
        if answer.error is None:
            return None
        if answer.error is ErrorKind.BLOCKED:
            return RouteProblem.REFUSED if answer.blocked_by_lookup else None
        if self._label != self.route.label:  # began in an earlier generation
            return None
        if self.dialled and not self._connected():
            return RouteProblem.UNREACHABLE
        stalled = answer.error is ErrorKind.TIMEOUT and self._stalled(answer.duration)
        return RouteProblem.STALLED if stalled else None

    def _connected(self) -> bool:
        """Whether the dialled connection was established, including TLS."""
        secure = self.route.origin.startswith("https:")
        return bool(self._getinfo(pycurl.APPCONNECT_TIME_T if secure else pycurl.CONNECT_TIME_T))

    def _stalled(self, waited: float) -> bool:
        """Whether the connection may be dead, and other attempts might reuse it or one like it. A
        connection that carries others' answers (HTTP/2) is not silent.
        """
        number: int = self._getinfo(pycurl.ACTIVESOCKET)
        if number < 0:  # closed by now; if it was kept, others like it are kept too
            return not self.dialled
        return silent_for(number) >= waited * _MIN_SILENT_FRACTION

    def _dial(self, route: Route) -> None:
        self._setopt(pycurl.URL, route.origin)
        through = route.connect_to()
        if through:
            self._setopt(pycurl.CONNECT_TO, through)
        else:
            self.handle.unsetopt(pycurl.CONNECT_TO)
        self._label = route.label

    def _watch(self, *, on: bool) -> None:
        """Receive the answer's header lines, or do not: see `Route.watched_answers`."""
        self._lines.clear()
        if on != self._watching:
            self._watching = on
            self._receive_lines()

    def _receive_lines(self) -> None:
        if self._taker is not None:
            self._setopt(pycurl.HEADERFUNCTION, self._take_line)
        elif self._watching:
            self._setopt(pycurl.HEADERFUNCTION, self._lines.append)  # without a Python frame
        else:
            self.handle.unsetopt(pycurl.HEADERFUNCTION)

    def _take_line(self, line: bytes) -> None:
        self._lines.append(line)
        if self._taker is not None:
            self._taker.take_line(line)

    def _ended_head(self) -> bool:
        """Whether a watched answer's final header block is complete."""
        if is_whole(self._lines):
            self.route.watched_answers -= 1
            return True
        self.route.watched_answers = ALL_ANSWERS
        return False

    def _has_head(self, code: int) -> bool:
        """Whether the final header block of an answer that ended with `code` is complete."""
        if code in TOO_LONG:
            return True
        self.route.watched_answers = ALL_ANSWERS
        if self._watching:
            return is_whole(self._lines)
        return (
            code == pycurl.E_PARTIAL_FILE
            or bool(self._getinfo(pycurl.SIZE_DOWNLOAD_T) > 0)
            or bool(self._getinfo(pycurl.CONTENT_LENGTH_DOWNLOAD_T) >= 0)
        )


def _blank(line: bytes) -> bytes:
    """A header without a value in libcurl's form, `name;`: libcurl would drop `name:`."""
    name, _, value = line.partition(b": ")
    return line if value else name + b";"


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000) or 1  # 0 would mean libcurl's default
