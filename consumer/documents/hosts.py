"""Host names and addresses in one spelling, so that two spellings of one host cannot differ."""

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address

import idna

from consumer.errors import InvalidValue

MAX_PORT = 65_535
_LABEL = "[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?!.{{254}}){_LABEL}(\.{_LABEL})*\.?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


def normalise_host(host: str) -> str:
    """`host` in ASCII and lower case: a name in IDNA 2008 form (after UTS 46 mapping), a
    dotted IPv4 address, or an IPv6 address (RFC 5952) in brackets. Underscores, as in many
    container networks, and a trailing dot are kept.

    A name whose last label is a number is an IPv4 address to many clients (WHATWG URL,
    section 3.5: `127.1`, `0x7f.1`, `2130706433`), so only the dotted-decimal spelling passes.

    Raises:
        InvalidValue: `host` is none of these.
    """
    if host.startswith("["):
        return _ipv6(host)
    name = _to_ascii(host)
    if _NUMBER.fullmatch(name.rstrip(".").rpartition(".")[2]):
        return _ipv4(name)
    if not _NAME.fullmatch(name):
        raise _not_a_host()
    return name


def _to_ascii(host: str) -> str:
    if host.isascii() and "xn--" not in host.lower():
        return host.lower()
    try:
        return idna.encode(host, uts46=True).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError):
        raise _not_a_host() from None


def _ipv4(name: str) -> str:
    try:
        return str(IPv4Address(name))
    except AddressValueError:
        raise InvalidValue(
            "the host is an unusual spelling of an IPv4 address",
            "write four decimal numbers without leading zeros: 192.0.2.1",
        ) from None


def _ipv6(host: str) -> str:
    try:
        address = IPv6Address(host.removeprefix("[").removesuffix("]"))
    except AddressValueError:
        address = None
    if address is None or not host.endswith("]") or address.scope_id is not None:
        raise InvalidValue(
            "the host is not an IPv6 address in brackets", "write it like [2001:db8::1], no zone"
        )
    return f"[{address}]"


def _not_a_host() -> InvalidValue:
    return InvalidValue(
        "the host is not a domain name or an IP address",
        "write a name of letters, digits, hyphens and dots, or an address",
    )
