"""Networks with IPv6 only: DNS64 gives IPv4 receivers an address behind NAT64 (RFC 6147).

In a network of its own, with real DNS and a server that answers at every address.
"""

from ipaddress import ip_address

import pytest

from support.own_network import PORT, run_inside, unavailable

PUBLIC, PRIVATE = "64:ff9b::93.184.215.14", "64:ff9b::10.0.0.5"

pytestmark = [
    pytest.mark.skipif(bool(unavailable()), reason=f"no network of its own: {unavailable()}"),
    pytest.mark.parametrize("transport", ["curl", "aiohttp"]),
]


def test_nat64_address_is_judged_as_the_ipv4_address_in_it(transport: str) -> None:
    """A receiver whose only address is a NAT64 address of the well-known prefix is reached if the
    IPv4 address in it is public, and refused if that one is private.
    """
    names = {"out.example": [[PUBLIC]], "in.example": [[PRIVATE]]}
    hosts = ["out.example", f"[{PUBLIC}]", "in.example", f"[{PRIVATE}]"]
    told = run_inside(transport, [f"http://{host}:{PORT}/" for host in hosts], names=names)
    dialled = [str(ip_address(PUBLIC))]
    assert [one.dialled for one in told] == [dialled, dialled, [], []]
    assert [one.status for one in told] == [200, 200, 0, 0]
    assert [one.error for one in told] == ["", "", "blocked", "blocked"]


def test_private_addresses_behind_nat64_are_opened_like_others(transport: str) -> None:
    """An IPv4 network in `allow` opens its addresses behind NAT64 too, and the NAT64 prefix in
    `allow` opens none.
    """
    urls = [f"http://[{PRIVATE}]:{PORT}/"]
    [opened] = run_inside(transport, urls, allow=["10.0.0.0/8"])
    [shut] = run_inside(transport, urls, allow=["64:ff9b::/96"])
    assert (opened.status, shut.error) == (200, "blocked")
