"""What libcurl tells of an answer: its errors, its header block, and its body up to a bound."""

from typing import Final

import pycurl  # type: ignore[import-untyped]  # the stubs of others lag behind its constants

from consumer.delivery.http.transport import MAX_BODY_BYTES, AnswerTaker
from consumer.reasons import ErrorKind

ERROR_KINDS: Final = {
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
"""Any other error is a connect error: refused, reset, empty, garbled, cut short."""


TOO_LONG: Final = {pycurl.E_FILESIZE_EXCEEDED, pycurl.E_WRITE_ERROR}
"""The body or its Content-Length was too long; the second one of a body that is wanted."""
_LINE_ENDS: Final = b"\r\n"


def is_whole(lines: list[bytes]) -> bool:
    """Whether `lines` contain the whole final header block. Interim blocks may precede it, and
    trailers may follow it.
    """
    whole = False
    for line in lines:
        if line.startswith(b"HTTP/"):
            whole = False
        elif line[0] in _LINE_ENDS:
            whole = True
    return whole


class BoundedBody:
    """Gives the first `MAX_BODY_BYTES` of a body to a taker, and then ends the transfer. libcurl's
    own bound ends it before the first byte if `Content-Length` is above it.
    """

    def __init__(self, taker: AnswerTaker) -> None:
        self._taker = taker
        self._remaining = MAX_BODY_BYTES

    def take(self, part: bytes) -> int:
        """Take the next part. Returns the bytes that libcurl counts as written: less than all of
        them is `E_WRITE_ERROR`.
        """
        self._taker.take(part)
        self._remaining -= len(part)
        return len(part) if self._remaining >= 0 else 0
