"""Reads the expiry of a certificate file; Python's ssl module tells only that of peers."""

import re
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_VERSION_TAG, _UTC_TIME_TAG = 0xA0, 0x17
"""ASN.1 tags."""
_LONG_LENGTH_BIT = 0x80
"""Bit of a length octet: the other bits count the bytes that hold the length."""
_PIVOT_YEAR = 50
"""Two-digit years from here on are 19xx (RFC 5280, section 4.1.2.5.1)."""


def not_after(pem: bytes) -> float | None:
    """Expiry (epoch seconds) of a PEM file's first certificate (RFC 5280); None if unreadable."""
    found = _PEM.search(pem)
    if found is None:
        return None
    try:
        _, certificate = next(_elements(ssl.PEM_cert_to_DER_cert(found[0].decode())))
        _, signed = next(_elements(certificate))
        fields = [field for field in _elements(signed) if field[0] != _VERSION_TAG]
        _, (tag, end) = _elements(fields[3][1])  # after serial number, algorithm and issuer
        return _seconds(end.decode(), two_digits=tag == _UTC_TIME_TAG)
    except (ValueError, IndexError, StopIteration):
        return None


def _elements(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield tag and content of each DER element (X.690)."""
    at = 0
    while at < len(der):
        tag, length, at = der[at], der[at + 1], at + 2
        if length & _LONG_LENGTH_BIT:
            size = length & ~_LONG_LENGTH_BIT
            length, at = int.from_bytes(der[at : at + size]), at + size
        yield tag, der[at : at + length]
        at += length


def _seconds(time: str, *, two_digits: bool) -> float:
    """Epoch seconds of a UTCTime (`YYMMDDHHMMSSZ`) or GeneralizedTime (four-digit year)."""
    if two_digits:
        time = ("19" if int(time[:2]) >= _PIVOT_YEAR else "20") + time
    return datetime.strptime(time, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()
