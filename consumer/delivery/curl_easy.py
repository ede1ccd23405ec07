"""One easy handle of libcurl: how an attempt is put to it, and what its end means."""

import ssl
from typing import Any, Final

import pycurl  # type: ignore[import-untyped]  # the stubs of others lag behind its constants

from consumer.delivery.curl_sockets import Door, Sockets
from consumer.delivery.guard import Policy
from consumer.delivery.transport import BODY_LIMIT, LEAST_FINAL, Answer, Request
from consumer.reasons import ErrorKind

_LIFETIME = 300
"""Seconds after which a connection is not used again, so that a changed DNS answer is followed."""

_BLANK = ord(" ")
"""Ends every header line that has no value."""

_LEAST_REDIRECT: Final = 300

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


class Easy:
    """An easy handle, which makes one attempt after the other, and where it opens sockets.

    Its methods are looked up once: a look-up on a handle costs more than some of them do.
    """

    __slots__ = ("_door", "_getinfo", "_limits", "_origin", "_setopt", "handle", "resolves")

    def __init__(self, sockets: Sockets, ca_file: str | None) -> None:
        """Set all that is the same for every request."""
        self.handle: Any = pycurl.Curl()
        self._setopt = self.handle.setopt
        self._getinfo = self.handle.getinfo
        self._door = Door()
        self._origin = ""
        self._limits = (0.0, 0.0)
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
            (pycurl.MAXLIFETIME_CONN, _LIFETIME),
            (pycurl.MAXFILESIZE, BODY_LIMIT),
            (pycurl.WRITEFUNCTION, len),  # discards the body without a Python frame
            (pycurl.OPENSOCKETFUNCTION, self._door.open),
            (pycurl.SOCKOPTFUNCTION, sockets.opened),
            (pycurl.SSL_VERIFYPEER, 1),
            (pycurl.SSL_VERIFYHOST, 2),
        ):
            self._setopt(option, value)
        self._trust(ca_file)

    def prepare(self, request: Request, policy: Policy) -> None:
        """What differs from request to request; what is set already is not set again."""
        origin, setopt = request.origin, self._setopt
        self._door.begin(policy, origin)
        if self._origin != origin:
            setopt(pycurl.URL, origin)
            self._origin = origin
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
        return self._door.opened

    def shared_socket(self) -> int:
        """The socket of the attempt's connection, where others use it at the same time (HTTP/2); -1
        where not. To be asked for before the handle is taken out of the multi handle.
        """
        if self._getinfo(pycurl.INFO_HTTP_VERSION) != pycurl.CURL_HTTP_VERSION_2_0:
            return -1
        number: int = self._getinfo(pycurl.ACTIVESOCKET)
        return number

    def response(self) -> Answer:
        """What the receiver said."""
        getinfo = self._getinfo
        status: int = getinfo(pycurl.RESPONSE_CODE)
        duration = getinfo(pycurl.TOTAL_TIME_T) / 1_000_000
        if status < LEAST_FINAL:  # 101, which libcurl takes for the end of HTTP
            return Answer(error=ErrorKind.CONNECT, detail="no final response", duration=duration)
        if status < _LEAST_REDIRECT:  # nobody asks a success when to come back
            return Answer(status=status, duration=duration)
        # 0 where it is absent, unreadable or past; libcurl reads dates and clamps at six hours.
        wait = getinfo(pycurl.RETRY_AFTER)
        return Answer(status=status, duration=duration, retry_after=float(wait) or None)

    def failure(self, code: int, message: str) -> Answer:
        """Why there is no response; `code` and `message` are libcurl's."""
        if code == pycurl.E_FILESIZE_EXCEEDED:  # the status is in; the rest does not matter
            return self.response()
        refusal = self._door.refusal
        if refusal is not None:
            return Answer(
                error=ErrorKind.BLOCKED,
                detail=refusal,
                blocked_by_lookup=self._door.refused_by_lookup,
            )
        return Answer(
            error=_ERRORS.get(code, ErrorKind.CONNECT),
            detail=message or f"libcurl error {code}",
            duration=self._getinfo(pycurl.TOTAL_TIME_T) / 1_000_000,
        )

    def _trust(self, ca_file: str | None) -> None:
        """The given authorities, else those that Python's own ssl module would use: the libcurl
        inside a wheel looks where its build machine had them.
        """
        system = ssl.get_default_verify_paths()
        cafile, capath = (ca_file, None) if ca_file else (system.cafile, system.capath)
        for option, path in ((pycurl.CAINFO, cafile), (pycurl.CAPATH, capath)):
            if path is not None:
                self._setopt(option, path)
            else:
                self.handle.unsetopt(option)


def _blank(line: bytes) -> bytes:
    """A header without a value as libcurl wants it: `name;`, where `name:` would drop it."""
    name, _, value = line.partition(b": ")
    return line if value else name + b";"


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000) or 1  # 0 would mean libcurl's default
