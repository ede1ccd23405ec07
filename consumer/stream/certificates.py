"""Reads from a certificate until when it is valid, which Python's ssl tells of peers' only."""

import re
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_VERSION, _UTC_TIME = 0xA0, 0x17
"""Tags of ASN.1."""
_LONG = 0x80
"""Bit of a length that says: so many bytes hold the length."""
_PIVOT = 50
"""Two digits of a year from here on belong to the last century (RFC 5280, section 4.1.2.5.1)."""


def not_after(pem: bytes) -> float | None:
    """Epoch seconds until which the first certificate of a PEM file is valid (RFC 5280, section
    4.1); None if it has none that can be read.
    """
    found = _PEM.search(pem)
    if found is None:
        return None
    try:
        _, certificate = next(_elements(ssl.PEM_cert_to_DER_cert(found[0].decode())))
        _, signed = next(_elements(certificate))
        fields = [field for field in _elements(signed) if field[0] != _VERSION]
        _, (tag, end) = _elements(fields[3][1])  # after serial number, algorithm and issuer
        return _seconds(end.decode(), two_digits=tag == _UTC_TIME)
    except (ValueError, IndexError, StopIteration):
        return None


def _elements(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each element, one after the other (X.690)."""
    at = 0
    while at < len(der):
        tag, length, at = der[at], der[at + 1], at + 2
        if length & _LONG:
            size = length & ~_LONG
            length, at = int.from_bytes(der[at : at + size]), at + size
        yield tag, der[at : at + length]
        at += length


def _seconds(time: str, *, two_digits: bool) -> float:
    """Of UTCTime (`YYMMDDHHMMSSZ`) or GeneralizedTime (with four digits for the year)."""
    if two_digits:
        time = ("19" if int(time[:2]) >= _PIVOT else "20") + time
    return datetime.strptime(time, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()
