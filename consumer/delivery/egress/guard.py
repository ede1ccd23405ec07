"""The SSRF guard judges the address that is dialled, at every new connection.

It trusts neither a hook's URI nor a DNS answer: the adapters ask it with the address that they are
about to connect a socket to. By default only public unicast addresses are allowed.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Self

from consumer.delivery.egress.special_addresses import IPV4_BLOCKS, IPV6_BLOCKS, IPV6_PUBLIC

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# The hosts that `normalise_host` makes. Anything else in a URL is refused.
_ORIGIN_PATTERN = re.compile(r"https?://(?P<host>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?")
_SERVER_PATTERN = re.compile(r"(?P<host>\[[^\]]*\]|[^:]+)(:(?P<port>[0-9]+))?")
_IPV4_MAPPED_NETWORK = IPv6Network("::ffff:0:0/96")
_NAT64_NETWORK = IPv6Network("64:ff9b::/96")
"""The well-known prefix (RFC 6052 section 2.1): the last 32 bits are the IPv4 address that the
translator dials. IPv6-only networks reach IPv4-only receivers by it."""
_KAFKA_PORT = 9092


@dataclass(frozen=True, slots=True)
class OwnEndpoint:
    """A listening address of the daemon or its brokers, which no hook may reach."""

    address: Address | None
    """None if unknown (a name, or every interface): the port counts at every address."""
    port: int
    what: str

    @classmethod
    def of(cls, server: str, what: str) -> Self:
        """The endpoint at `host:port`; Kafka's default port if there is none."""
        match = _SERVER_PATTERN.fullmatch(server)
        if match is None:
            raise ValueError(f"no server: {server}")
        address = _address(match["host"].strip("[]"))
        if address is not None and address.is_unspecified:
            address = None
        return cls(address, int(match["port"] or _KAFKA_PORT), what)

    def is_at(self, address: Address, port: int) -> bool:
        """Whether dialling `address` and `port` may reach this endpoint."""
        if port != self.port:
            return False
        # Linux connects the unspecified address to the loopback address.
        return self.address is None or self.address == address or address.is_unspecified


@dataclass(frozen=True, slots=True)
class EgressPolicy:
    """The addresses, names and ports that may be dialled. Equal settings make equal policies."""

    allow: frozenset[Network] = frozenset()
    allow_names: frozenset[str] = frozenset()
    allow_ports: frozenset[tuple[Address | str, int]] = frozenset()
    """Pairs of an address or name and a port. Only these allow the daemon's own endpoints."""
    deny: frozenset[Network] = frozenset()
    deny_names: frozenset[str] = frozenset()
    own: tuple[OwnEndpoint, ...] = ()

    @classmethod
    def of(
        cls, *, allow: Iterable[str] = (), deny: Iterable[str] = (), own: Iterable[OwnEndpoint] = ()
    ) -> Self:
        """The policy of the settings' entries: CIDRs, addresses and lower-case names; in `allow`
        also `host:port`.
        """
        servers = {entry: _SERVER_PATTERN.fullmatch(entry) for entry in allow}
        ports = {entry: match for entry, match in servers.items() if match and match["port"]}
        return cls(
            *_split(servers.keys() - ports.keys()),
            frozenset((_host(match["host"]), int(match["port"])) for match in ports.values()),
            *_split(deny),
            tuple(own),
        )

    def judge(self, address: str, port: int, host: str) -> str | None:
        """Why `address` and `port` must not be dialled for the URL's `host`; None if they may be.

        The first rule that applies decides: the daemon's own endpoints, unless `allow` has this
        port of the address or host; `deny`; `allow`; then the special-purpose registries.
        """
        dialled = _address(address)
        if dialled is None:
            return f"{address} is no IP address"
        host = host.removesuffix(".")
        opened = not self.allow_ports.isdisjoint({(host, port), (dialled, port)})
        own = self._own(dialled, port)
        if own is not None and not opened:
            return f"{address} port {port} is {own.what}"
        if host in self.deny_names:
            return f"{host} is in network.deny"
        denying = _holding(dialled, self.deny) or _holding(ip_address(address), self.deny)
        if denying is not None:
            return f"{address} is in network.deny: {denying}"
        if opened or host in self.allow_names or _holding(dialled, self.allow) is not None:
            return None
        return _special(dialled, address)

    def precheck(self, host: str, port: int) -> str | None:
        """Why `host` (without brackets) will be refused whatever DNS answers; None if its addresses
        will decide.
        """
        host = host.removesuffix(".")
        refusals = [self.judge(address, port, host) for address in _known_addresses(host)]
        if refusals:
            return None if None in refusals else refusals[0]
        return f"{host} is in network.deny" if host in self.deny_names else None

    def _own(self, address: Address, port: int) -> OwnEndpoint | None:
        return next((own for own in self.own if own.is_at(address, port)), None)


class DialGuard:
    """The guard of one attempt, which is asked before each address is dialled."""

    __slots__ = ("_dialled", "_origin", "_policy", "_port", "_refusal")

    def __init__(self, policy: EgressPolicy, origin: str) -> None:
        """`origin` is the URL's `scheme://host[:port]`, as the client is given it."""
        self._policy = policy
        self._origin = origin
        self._dialled = False
        self._port = 0
        self._refusal: str | None = None

    @property
    def refusal(self) -> str | None:
        """Why nothing was dialled; None if an address was dialled or none was asked for."""
        return None if self._dialled else self._refusal

    @property
    def refused_by_lookup(self) -> bool:
        """Whether the refusal is due to the addresses that a lookup found. False if it is certain
        without a lookup: a literal address, `localhost`, a name in `network.deny`.
        """
        origin = _ORIGIN_PATTERN.fullmatch(self._origin.lower())
        if self.refusal is None or origin is None:
            return False
        return self._policy.precheck(origin["host"].strip("[]"), self._port) is None

    def allow_dial(self, address: str, port: int) -> bool:
        """Whether this address may be dialled."""
        self._port = port
        origin = _ORIGIN_PATTERN.fullmatch(self._origin.lower())
        if origin is None:
            refusal: str | None = "the URL's host is not one that can be judged"
        else:
            refusal = self._policy.judge(address, port, origin["host"])
        if refusal is None:
            self._dialled = True
        else:
            self._refusal = self._refusal or refusal
        return refusal is None


def _known_addresses(host: str) -> Sequence[str]:
    if host == "localhost" or host.endswith(".localhost"):  # RFC 6761 section 6.3
        return ("127.0.0.1", "::1")
    return () if _address(host) is None else (host,)


def _address(text: str) -> Address | None:
    """The address to judge, without its zone. An IPv4-mapped form (RFC 4291 section 2.5.5.2) or a
    NAT64 form (RFC 6052) becomes the IPv4 address that is dialled for it.
    """
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv4Address):
        return address
    plain = IPv6Address(int(address))  # without its zone
    return _embedded(plain) if plain in _IPV4_MAPPED_NETWORK or plain in _NAT64_NETWORK else plain


def _embedded(address: IPv6Address) -> IPv4Address:
    """The IPv4 address in the last 32 bits."""
    return IPv4Address(int(address) & 0xFFFF_FFFF)


def _host(text: str) -> Address | str:
    return _address(text.strip("[]")) or text


def _network(text: str) -> Network:
    """The network in `text`; IPv4-mapped and NAT64 forms become the IPv4 network in them.

    The whole NAT64 prefix stays IPv6: in `deny` it closes NAT64, and in `allow` it must not open
    all of IPv4.
    """
    network = ip_network(text)
    if isinstance(network, IPv6Network) and (
        network.subnet_of(_IPV4_MAPPED_NETWORK)
        or (network.subnet_of(_NAT64_NETWORK) and network != _NAT64_NETWORK)
    ):
        embedded = _embedded(network.network_address)
        return ip_network(f"{embedded}/{network.prefixlen - _IPV4_MAPPED_NETWORK.prefixlen}")
    return network


def _split(entries: Iterable[str]) -> tuple[frozenset[Network], frozenset[str]]:
    """Networks and names."""
    listed = list(entries)
    numeric = {entry for entry in listed if "/" in entry or _address(entry) is not None}
    return frozenset(map(_network, numeric)), frozenset(listed) - numeric


def _holding(address: Address, networks: Iterable[Network]) -> Network | None:
    return next((network for network in networks if address in network), None)


def _special(address: Address, shown: str) -> str | None:
    blocks = IPV4_BLOCKS if isinstance(address, IPv4Address) else IPV6_BLOCKS
    block = next((block for block in blocks if address in block.network), None)
    if block is not None:
        return f"{shown} is {block.what} ({block.source})"
    if isinstance(address, IPv6Address) and address not in IPV6_PUBLIC:
        return f"{shown} is outside of global unicast (RFC 4291 section 2.4)"
    return None
