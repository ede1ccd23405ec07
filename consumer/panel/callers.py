"""Who a request is from: its address, and whom its headers name.

Headers of proxies are believed from trusted addresses only; from all others they are ignored.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, Protocol
from urllib.parse import urlsplit

from consumer.panel.credentials import Identity
from consumer.panel.failures import network_name
from consumer.settings import ROLES, PanelSettings

Address = IPv4Address | IPv6Address

MAX_USER_CHARACTERS: Final = 128
"""Of the name of a user that a proxy names."""
_LOCAL_NAMES: Final = ("localhost", "ip6-localhost")
_UNKNOWN: Final = IPv4Address("0.0.0.0")  # noqa: S104  # no server binds to it here
"""Of a connection without an address."""


class Headers(Protocol):
    """The headers of a request: names in any case of letters."""

    def getall(self, name: str, default: Sequence[str]) -> Sequence[str]:
        """All values of a header, in order."""
        ...


class BadHeaderError(Exception):
    """A header is there twice, or cannot be meant."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The other side of one request."""

    address: Address
    """Of the client, as far as the trusted proxies between say it."""
    is_proxied: bool
    """Whether a trusted proxy sent it."""
    is_secure: bool
    """Whether the client came by https, as a trusted proxy says."""
    hosts: Sequence[str]
    """The authorities (`host:port`) by which the client may know this panel."""


class Callers:
    """Reads who sends a request, by the settings."""

    def __init__(self, panel: PanelSettings) -> None:
        self._panel = panel
        self._trusted = [ip_network(network) for network in panel.trusted_proxies]

    def caller(self, peer: str | None, headers: Headers) -> Caller:
        """The caller of a request that came from the address `peer`.

        Raises:
            BadHeaderError: a header is there twice.
        """
        address = _address(peer or "") or _UNKNOWN
        host = one(headers, "Host")
        if not _is_in(address, self._trusted):
            return Caller(address, is_proxied=False, is_secure=False, hosts=[host])
        forwarded = one(headers, "X-Forwarded-Host")
        return Caller(
            self._client(address, headers),
            is_proxied=True,
            is_secure=one(headers, "X-Forwarded-Proto").lower() == "https",
            hosts=[name for name in (host, forwarded) if name],
        )

    def peer_name(self, peer: str | None) -> str | None:
        """By what connections of the address `peer` are counted; None: a trusted proxy, which
        speaks for many.
        """
        address = _address(peer or "") or _UNKNOWN
        return None if _is_in(address, self._trusted) else network_name(address)

    def identity(self, caller: Caller, headers: Headers) -> Identity | None:
        """The user that a trusted proxy names; None: none.

        Raises:
            BadHeaderError: a header is there twice, or names no user or role.
        """
        if not caller.is_proxied:
            return None
        user, role = one(headers, self._panel.user_header), one(headers, self._panel.role_header)
        if not user:
            return None
        if len(user) > MAX_USER_CHARACTERS or not user.isprintable():
            raise BadHeaderError(f"{self._panel.user_header} names no user")
        role = role.lower() or ROLES[0]
        if role not in ROLES:
            raise BadHeaderError(
                f"{self._panel.role_header} names none of the roles {', '.join(ROLES)}"
            )
        return Identity(user, role, "proxy")

    def is_ours(self, caller: Caller) -> bool:
        """Whether the request names this panel as its host. Of a panel for this machine only names
        of this machine are taken, so that no name of a foreign page leads here (DNS rebinding).
        The names by which a trusted proxy is known are not in the settings: it has to check them.
        """
        if not self._panel.is_loopback or caller.is_proxied:
            return True
        return all(is_local(host) for host in caller.hosts)

    def _client(self, peer: Address, headers: Headers) -> Address:
        """The last address on the way that is no trusted proxy."""
        way = ",".join(headers.getall("X-Forwarded-For", ())).split(",")
        client = peer
        for step in reversed(way):
            if not _is_in(client, self._trusted):
                break
            found = _address(step.strip())
            if found is None:
                break
            client = found
        return client


def one(headers: Headers, name: str) -> str:
    """The value of a header that may be there once; empty without it.

    Raises:
        BadHeaderError: it is there twice, so its readers might disagree on it.
    """
    values = headers.getall(name, ())
    if len(values) > 1:
        raise BadHeaderError(f"the header {name} is there {len(values)} times")
    return values[0].strip() if values else ""


def is_local(host: str) -> bool:
    """Whether a `Host` names this machine."""
    try:
        name = (urlsplit(f"//{host}").hostname or "") if "@" not in host else ""
    except ValueError:
        return False
    address = _address(name)
    return name in _LOCAL_NAMES or (address is not None and address.is_loopback)


def is_foreign(caller: Caller, headers: Headers) -> bool:
    """Whether a browser says that a page of another site sends this request.

    Raises:
        BadHeaderError: a header is there twice.
    """
    site = one(headers, "Sec-Fetch-Site").lower()
    if site and site not in {"same-origin", "none"}:
        return True
    origin = one(headers, "Origin")
    if not origin:
        return False
    scheme, _, authority = origin.partition("://")
    return scheme not in {"http", "https"} or not any(
        _same(authority, scheme, host) for host in caller.hosts
    )


def cookies(headers: Headers) -> Mapping[str, Sequence[str]]:
    """The values of each cookie by its name: a name may be there twice."""
    found: dict[str, list[str]] = {}
    for line in headers.getall("Cookie", ()):
        for pair in line.split(";"):
            name, equals, value = pair.strip().partition("=")
            if equals:
                found.setdefault(name, []).append(value)
    return found


def _same(authority: str, scheme: str, host: str) -> bool:
    port = {"http": ":80", "https": ":443"}[scheme]
    return authority.lower().removesuffix(port) == host.lower().removesuffix(port)


def _address(text: str) -> Address | None:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _is_in(address: Address, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    return any(address in network for network in networks)
