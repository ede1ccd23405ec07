"""The guard's default: which addresses are public, block by block."""

import re
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.delivery.egress.guard import EgressPolicy
from consumer.delivery.egress.special_addresses import IPV4_BLOCKS, IPV6_BLOCKS
from support.special_blocks import HIDING, IPV4, IPV6, METADATA

DEFAULT = EgressPolicy.of()
NAT64 = IPv6Network("64:ff9b::/96")

# Each is right beside a block that is refused.
PUBLIC = """
    1.0.0.0  9.255.255.255  11.0.0.0  100.63.255.255  100.128.0.0  126.255.255.255  128.0.0.0
    168.63.129.15  168.63.129.17  169.253.255.255  169.255.0.0  172.15.255.255  172.32.0.0
    191.255.255.255  192.0.1.0  192.0.1.255  192.0.3.0  192.31.195.255  192.31.197.0
    192.52.192.255  192.52.194.0  192.88.98.255  192.88.100.0  192.167.255.255  192.169.0.0
    192.175.47.255  192.175.49.0  198.17.255.255  198.20.0.0  198.51.99.255  198.51.101.0
    203.0.112.255  203.0.114.0  223.255.255.255
    2000::  2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff  2001:200::
    2001:db7:ffff:ffff:ffff:ffff:ffff:ffff  2001:db9::  2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff
    2003::  2620:4f:7fff:ffff:ffff:ffff:ffff:ffff  2620:4f:8001::
    3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff  3fff:1000::  3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
""".split()  # noqa: SIM905  # one address a line would be three screens


def judge(address: str, policy: EgressPolicy = DEFAULT) -> str | None:
    """The verdict for a name that is not configured."""
    return policy.judge(address, 443, "hook.example")


@pytest.mark.parametrize(("first", "last", "word"), IPV4 + IPV6)
def test_every_block_is_refused_from_end_to_end(first: str, last: str, word: str) -> None:
    """Every special-purpose block is refused from its first to its last address, with its name in
    the reason.
    """
    for address in (first, last):
        reason = judge(address)
        assert reason is not None
        assert reason.startswith(f"{address} is ")
        assert word in reason
        assert reason.endswith(")") or "outside" in reason


@pytest.mark.parametrize("address", PUBLIC)
def test_neighbours_of_blocks_are_public(address: str) -> None:
    """The addresses next to a block are public, as the registry says."""
    assert judge(address) is None


def test_no_ipv4_address_is_left_out() -> None:
    """Refused ranges and public ones alternate without a gap, so the table covers all of IPv4."""
    merged: list[list[int]] = []
    for first, last, _ in IPV4:
        low, high = int(IPv4Address(first)), int(IPv4Address(last))
        if merged and merged[-1][1] == low - 1:
            merged[-1][1] = high
        else:
            merged.append([low, high])
    edges = {low - 1 for low, _ in merged} | {high + 1 for _, high in merged}
    edges -= {-1, 2**32}
    assert edges == {int(ip_address(address)) for address in PUBLIC if ":" not in address}


@pytest.mark.parametrize("address", METADATA)
def test_metadata_services_are_named(address: str) -> None:
    """Cloud metadata services are refused with their name in the reason."""
    assert "metadata" in str(judge(address)) or "platform" in str(judge(address))


@pytest.mark.parametrize("first", [block[0] for block in IPV4])
def test_mapped_addresses_are_judged_as_ipv4(first: str) -> None:
    """IPv4-mapped addresses are judged as the IPv4 address that the kernel dials (RFC 4291 section
    2.5.5.2).
    """
    number = int(IPv4Address(first))
    for spelling in (f"::ffff:{first}", f"::ffff:{number >> 16:x}:{number & 0xFFFF:x}"):
        reason = judge(spelling)
        assert reason == str(judge(first)).replace(first, spelling, 1)


@pytest.mark.parametrize("prefix", ["::ffff:", "64:ff9b::"])
def test_public_addresses_in_ipv6_pass(prefix: str) -> None:
    """A public IPv4 address passes as an IPv4-mapped one, and behind NAT64, which is all that a
    network with IPv6 only has for a receiver that has IPv4 only.
    """
    assert judge(prefix + "93.184.215.14") is None


@pytest.mark.parametrize(
    "address",
    HIDING,
)
def test_addresses_that_hide_another(address: str) -> None:
    """Tunnels, translators, zones and long spellings of addresses are refused for what they are."""
    assert judge(address) is not None


@pytest.mark.parametrize(
    "address",
    ["", "127.1", "0x7f.0.0.1", "2130706433", "0177.0.0.1", "localhost", "/run/x.sock", "1.1.1.1 "],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    """A text that is no address is refused, and no spelling is guessed at."""
    assert (
        judge(address, EgressPolicy.of(allow=["0.0.0.0/0", "::/0"]))
        == f"{address} is no IP address"
    )


def test_every_block_has_a_source() -> None:
    """Every block has a source in which a person can look it up."""
    for block in IPV4_BLOCKS + IPV6_BLOCKS:
        assert re.search(r"RFC \d+|documentation|user guide", block.source), block


@given(st.ip_addresses() | st.integers(0, 2**32 - 1).map(IPv4Address))
def test_nothing_that_python_calls_special_passes(address: IPv4Address | IPv6Address) -> None:
    """No address that Python's `ipaddress` calls special is let through."""
    judged = address
    if isinstance(address, IPv6Address) and (address.ipv4_mapped or address in NAT64):
        judged = IPv4Address(int(address) & 0xFFFF_FFFF)
    special = (
        judged.is_private
        or judged.is_loopback
        or judged.is_link_local
        or judged.is_multicast
        or judged.is_unspecified
        or judged.is_reserved
        or (isinstance(judged, IPv6Address) and judged.is_site_local)
    )
    assert judge(str(address)) is not None or not special


@given(st.integers(0, 2**128 - 1).map(IPv6Address))
def test_ipv6_outside_of_global_unicast_never_passes(address: IPv6Address) -> None:
    """No IPv6 address outside of global unicast is let through (IANA IPv6 address space)."""
    if int(address) >> 125 != 1 and address.ipv4_mapped is None and address not in NAT64:
        assert judge(str(address)) is not None
