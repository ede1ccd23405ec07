"""Special-purpose addresses, which no webhook receiver has.

They are all blocks of the IANA special-purpose address registries (RFC 6890, updated by RFC 8190),
including those that are globally reachable, and multicast, the reserved 240.0.0.0/4, and the
metadata services of clouds.
"""

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network


@dataclass(frozen=True, slots=True)
class Block:
    """A block of special-purpose addresses."""

    network: IPv4Network | IPv6Network
    what: str
    """Completes "this address is ..."."""
    source: str
    """The document that defines the block."""


def _blocks(rows: tuple[tuple[str, str, str], ...]) -> tuple[Block, ...]:
    return tuple(Block(ip_network(network), what, source) for network, what, source in rows)


IPV4_BLOCKS = _blocks(
    (
        ("0.0.0.0/32", "this host", "RFC 1122 section 3.2.1.3"),
        ("0.0.0.0/8", "this network", "RFC 791 section 3.2"),
        ("10.0.0.0/8", "private", "RFC 1918"),
        ("100.100.100.200/32", "Alibaba Cloud's metadata service", "Alibaba Cloud documentation"),
        ("100.64.0.0/10", "shared address space behind carriers' NAT", "RFC 6598"),
        ("127.0.0.0/8", "loopback", "RFC 1122 section 3.2.1.3"),
        ("168.63.129.16/32", "Azure's platform service", "Microsoft Azure documentation"),
        ("169.254.169.254/32", "the metadata service of most clouds", "link-local: RFC 3927"),
        ("169.254.0.0/16", "link-local", "RFC 3927"),
        ("172.16.0.0/12", "private", "RFC 1918"),
        ("192.0.0.192/32", "Oracle Cloud's metadata service", "Oracle Cloud documentation"),
        ("192.0.0.0/24", "for IETF protocols", "RFC 6890 section 2.1"),
        ("192.0.2.0/24", "for documentation", "RFC 5737"),
        ("192.31.196.0/24", "an AS112 sink", "RFC 7535"),
        ("192.52.193.0/24", "for automatic multicast tunnels", "RFC 7450"),
        ("192.88.99.0/24", "a 6to4 relay", "RFC 7526"),
        ("192.168.0.0/16", "private", "RFC 1918"),
        ("192.175.48.0/24", "an AS112 sink", "RFC 7534"),
        ("198.18.0.0/15", "for benchmarks", "RFC 2544"),
        ("198.51.100.0/24", "for documentation", "RFC 5737"),
        ("203.0.113.0/24", "for documentation", "RFC 5737"),
        ("224.0.0.0/4", "multicast", "RFC 5771"),
        ("255.255.255.255/32", "broadcast", "RFC 919 section 7"),
        ("240.0.0.0/4", "reserved", "RFC 1112 section 4"),
    )
)
"""The first block that contains an address names it. Any other address is public."""

IPV6_PUBLIC = IPv6Network("2000::/3")
"""Global unicast (RFC 4291 section 2.4, IANA IPv6 global unicast address assignments)."""

IPV6_BLOCKS = _blocks(
    (
        # Refused blocks inside IPV6_PUBLIC.
        ("2001::/32", "a Teredo tunnel", "RFC 4380"),
        ("2001::/23", "for IETF protocols", "RFC 2928"),
        ("2001:db8::/32", "for documentation", "RFC 3849"),
        ("2002::/16", "a 6to4 tunnel", "RFC 3056"),
        ("2620:4f:8000::/48", "an AS112 sink", "RFC 7534"),
        ("3fff::/20", "for documentation", "RFC 9637"),
        # Blocks outside, which are refused in any case and named here.
        ("::/128", "unspecified", "RFC 4291 section 2.5.2"),
        ("::1/128", "loopback", "RFC 4291 section 2.5.3"),
        ("::/96", "an IPv4-compatible form", "RFC 4291 section 2.5.5.1"),
        ("::ffff:0:0:0/96", "an IPv4-translated form", "RFC 2765 section 2.1"),
        # 64:ff9b::/96, NAT64's well-known prefix, is judged as the IPv4 address in it.
        ("64:ff9b:1::/48", "an IPv4 address behind a local NAT64", "RFC 8215"),
        ("100::/64", "for discarding", "RFC 6666"),
        ("100:0:0:1::/64", "a dummy prefix", "RFC 9780"),
        ("5f00::/16", "a segment routing identifier", "RFC 9602"),
        ("fd00:ec2::/32", "AWS's metadata and local services", "Amazon EC2 user guide"),
        ("fd20:ce::254/128", "Google Cloud's metadata service", "Google Cloud documentation"),
        ("fc00::/7", "unique local", "RFC 4193"),
        ("fe80::/10", "link-local", "RFC 4291 section 2.5.6"),
        ("fec0::/10", "site-local", "RFC 3879"),
        ("ff00::/8", "multicast", "RFC 4291 section 2.7"),
    )
)
"""The first block that contains an address names it. Any other in `IPV6_PUBLIC` is public."""
