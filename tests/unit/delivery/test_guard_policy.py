"""Precedence of `network.allow`, `network.deny` and the daemon's own endpoints."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.delivery.egress.guard import DialGuard, EgressPolicy, OwnEndpoint

HOST = "hook.example"
ADMIN = OwnEndpoint.of("127.0.0.1:9464", "the admin server")


def judge(
    address: str, *, host: str = HOST, allow: Sequence[str] = (), deny: Sequence[str] = ()
) -> str | None:
    """The verdict of a policy with these entries."""
    return EgressPolicy.of(allow=allow, deny=deny).judge(address, 443, host)


@pytest.mark.parametrize(
    ("allow", "address"),
    [
        ("10.0.0.0/8", "10.255.255.255"),
        ("10.0.0.5", "10.0.0.5"),
        ("10.0.0.5/32", "::ffff:10.0.0.5"),
        ("::ffff:10.0.0.5", "10.0.0.5"),
        ("::ffff:10.0.0.0/104", "10.0.0.5"),
        ("10.0.0.0/8", "64:ff9b::10.0.0.5"),
        ("64:ff9b::10.0.0.5", "10.0.0.5"),
        ("64:ff9b::10.0.0.0/104", "64:ff9b::10.0.0.5"),
        ("fd00::/8", "fd12::1"),
        ("fe80::/10", "fe80::1%eth0"),
        ("0.0.0.0/0", "127.0.0.1"),
        ("::/0", "ff02::1"),
        (HOST, "10.0.0.5"),
        (HOST, "fe80::1"),
    ],
)
def test_allow_lets_through(allow: str, address: str) -> None:
    """`allow` lets CIDRs, addresses and host names through, and IPv4-mapped spellings mean IPv4."""
    assert judge(address) is not None
    assert judge(address, allow=[allow]) is None


@pytest.mark.parametrize(
    ("allow", "address"),
    [
        ("10.0.0.0/9", "10.128.0.0"),
        ("10.0.0.5", "10.0.0.6"),
        ("other.example", "10.0.0.5"),
        ("example", "10.0.0.5"),
        ("::/0", "10.0.0.5"),
        ("::/0", "::ffff:10.0.0.5"),
        ("::/0", "64:ff9b::10.0.0.5"),
        ("64:ff9b::/96", "64:ff9b::10.0.0.5"),
        ("64:ff9b::/96", "10.0.0.5"),
        ("::/96", "10.0.0.5"),
        ("0.0.0.0/0", "::1"),
    ],
)
def test_allow_lets_nothing_else_through(allow: str, address: str) -> None:
    """An `allow` entry lets nothing but its own name or block through."""
    assert judge(address, allow=[allow]) is not None


@pytest.mark.parametrize(
    ("deny", "address", "reason"),
    [
        ("93.184.0.0/16", "93.184.215.14", "{} is in network.deny: 93.184.0.0/16"),
        ("::ffff:93.184.0.0/112", "93.184.215.14", "{} is in network.deny: 93.184.0.0/16"),
        ("93.184.0.0/16", "::ffff:93.184.215.14", "{} is in network.deny: 93.184.0.0/16"),
        (
            "93.184.0.0/16",
            "64:ff9b::93.184.215.14",
            "{} is in network.deny: 93.184.0.0/16",
        ),
        ("64:ff9b::/96", "64:ff9b::93.184.215.14", "{} is in network.deny: 64:ff9b::/96"),
        ("2606:4700::/32", "2606:4700::1", "{} is in network.deny: 2606:4700::/32"),
        (HOST, "93.184.215.14", "hook.example is in network.deny"),
    ],
)
def test_deny_refuses(deny: str, address: str, reason: str) -> None:
    """`deny` refuses what would be let through, also by `allow`."""
    said = reason.format(address)
    assert judge(address) is None
    assert judge(address, deny=[deny]) == said
    assert judge(address, deny=[deny], allow=["0.0.0.0/0", "::/0", HOST]) == said


_IPV4 = st.ip_addresses(v=4)
_IPV4_ENTRIES = st.lists(
    st.builds(
        lambda address, bits: str(IPv4Network((int(address) >> bits << bits, 32 - bits))),
        _IPV4,
        st.integers(0, 32),
    ),
    max_size=4,
)


@given(_IPV4, _IPV4_ENTRIES, _IPV4_ENTRIES, st.sampled_from([443, 9464]))
def test_nat64_is_judged_as_the_ipv4_address_in_it(
    address: IPv4Address, allow: list[str], deny: list[str], port: int
) -> None:
    """An address of the well-known prefix has the verdict of the IPv4 address in it, whatever the
    settings allow, deny or own.
    """
    policy = EgressPolicy.of(allow=allow, deny=deny, own=[ADMIN])
    translated = str(IPv6Address("64:ff9b::") + int(address))
    said = policy.judge(translated, port, HOST)
    meant = policy.judge(str(address), port, HOST)
    assert said == (None if meant is None else meant.replace(str(address), translated, 1))


def test_denying_the_prefix_closes_nat64_only() -> None:
    """Denying the NAT64 prefix closes NAT64 only; the IPv4 addresses themselves stay open."""
    assert judge("93.184.215.14", deny=["64:ff9b::/96"]) is None


def test_trailing_dot_is_the_same_name() -> None:
    """A trailing dot changes nothing in a name (RFC 1034 section 3.1), so it is no way around
    `deny`.
    """
    assert judge("93.184.215.14", host=HOST + ".", deny=[HOST]) is not None
    assert judge("10.0.0.5", host=HOST + ".", allow=[HOST]) is None


@given(
    st.ip_addresses(),
    st.lists(st.ip_addresses().map(str), max_size=3),
    st.lists(st.ip_addresses(v=4).map(lambda a: str(IPv4Network((int(a) >> 8 << 8, 24))))),
)
def test_denied_is_never_dialled(address: object, allow: list[str], deny: list[str]) -> None:
    """A denied address is never dialled, whatever else is configured."""
    policy = EgressPolicy.of(allow=[*allow, str(address)], deny=[*deny, str(address)])
    assert policy.judge(str(address), 443, HOST) is not None


def test_order_and_repetition_mean_nothing() -> None:
    """Policies that allow the same are equal, so a reload that changes none keeps connections."""
    assert EgressPolicy.of(allow=["10.0.0.0/8", "a", "a"], own=[ADMIN]) == EgressPolicy.of(
        allow=["a", "10.0.0.0/8"], own=[OwnEndpoint.of("127.0.0.1:9464", "the admin server")]
    )
    assert EgressPolicy.of(allow=["10.0.0.0/8"]) != EgressPolicy.of(deny=["10.0.0.0/8"])


@pytest.mark.parametrize(
    ("server", "address", "port"),
    [
        ("127.0.0.1:9464", "127.0.0.1", 9464),
        ("127.0.0.1:9464", "::ffff:127.0.0.1", 9464),
        ("127.0.0.1:9464", "0.0.0.0", 9464),
        ("[::1]:9464", "::1", 9464),
        ("[::1]:9464", "::", 9464),
        ("0.0.0.0:9464", "10.0.0.5", 9464),
        ("[::]:9464", "10.0.0.5", 9464),
        ("kafka-1:9093", "10.0.0.7", 9093),
        ("kafka-1", "10.0.0.7", 9092),
        ("93.184.215.14:9092", "93.184.215.14", 9092),
        ("kafka-1:9093", "93.184.215.14", 9093),
    ],
)
def test_own_endpoints_are_out_of_reach(server: str, address: str, port: int) -> None:
    """The daemon's own endpoints are refused even if their network, address and host name are
    allowed; only an entry with their port lets them through.
    """
    own = [OwnEndpoint.of(server, "ours")]
    wide = ["0.0.0.0/1", "128.0.0.0/1", "::/0", address, HOST]
    policy = EgressPolicy.of(allow=wide, own=own)
    assert policy.judge(address, port, HOST) == f"{address} port {port} is ours"
    assert policy.judge(address, port + 1, HOST) is None
    bracketed = f"[{address}]" if ":" in address else address
    for exact, name in ((f"{bracketed}:{port}", address), (f"{HOST}:{port}", HOST)):
        assert EgressPolicy.of(allow=[exact], own=own).judge(address, port, HOST) is None
        assert EgressPolicy.of(allow=[exact], deny=[name], own=own).judge(address, port, HOST)


@pytest.mark.parametrize(
    ("allow", "address", "others"),
    [
        ("10.0.0.5:8080", "10.0.0.5", "10.0.0.6"),
        ("[fd00::5]:8080", "fd00::5", "fd00::6"),
        ("[::ffff:10.0.0.5]:8080", "10.0.0.5", "10.0.0.6"),
        (f"{HOST}:8080", "10.0.0.5", None),
    ],
)
def test_one_port_can_be_allowed(allow: str, address: str, others: str | None) -> None:
    """An `allow` entry with a port opens that port of an address or name, and nothing else."""
    policy = EgressPolicy.of(allow=[allow])
    assert policy.judge(address, 8080, HOST) is None
    assert policy.judge(address, 8081, HOST) is not None
    assert policy.judge(others or address, 8080, HOST if others else "other.example") is not None


def test_own_endpoint_has_one_address() -> None:
    """An own endpoint with a known address leaves its port free at other addresses."""
    policy = EgressPolicy.of(own=[OwnEndpoint.of("10.0.0.7:9092", "ours")])
    assert policy.judge("93.184.215.14", 9092, HOST) is None


def test_own_endpoint_that_is_none() -> None:
    """An invalid own endpoint raises an error instead of leaving a hole in the guard."""
    with pytest.raises(ValueError, match="no server"):
        OwnEndpoint.of("::1:9464", "ours")


@pytest.mark.parametrize(
    ("host", "allow", "deny", "reason"),
    [
        ("127.0.0.1", "", "", "127.0.0.1 is loopback (RFC 1122 section 3.2.1.3)"),
        ("::1", "", "", "::1 is loopback (RFC 4291 section 2.5.3)"),
        ("localhost", "", "", "127.0.0.1 is loopback (RFC 1122 section 3.2.1.3)"),
        ("a.localhost.", "", "", "127.0.0.1 is loopback (RFC 1122 section 3.2.1.3)"),
        ("localhost", "::1", "", None),
        ("localhost", "localhost", "", None),
        ("localhost", "::1", "localhost", "localhost is in network.deny"),
        ("93.184.215.14", "", "", None),
        (HOST, "", "", None),
        (HOST + ".", "", HOST, "hook.example is in network.deny"),
        ("localhost.example", "", "", None),
    ],
)
def test_what_can_be_prechecked(host: str, allow: str, deny: str, reason: str | None) -> None:
    """Literal addresses, loopback names and denied names are judged without a DNS lookup."""
    assert EgressPolicy.of(allow=allow.split(), deny=deny.split()).precheck(host, 443) == reason


def test_own_endpoints_are_prechecked() -> None:
    """A URI with the address and port of an own endpoint is judged without a DNS lookup."""
    policy = EgressPolicy.of(allow=["127.0.0.0/8"], own=[ADMIN])
    assert policy.precheck("127.0.0.1", 9464) == "127.0.0.1 port 9464 is the admin server"
    assert policy.precheck("localhost", 9464) == "127.0.0.1 port 9464 is the admin server"
    assert policy.precheck("127.0.0.1", 80) is None


def gate(origin: str, *allow: str) -> DialGuard:
    """Of an attempt to `origin`."""
    return DialGuard(EgressPolicy.of(allow=allow), origin)


def test_dial_guard_reports_the_first_refusal() -> None:
    """A dial guard reports the first refusal if nothing was dialled."""
    shut = gate("https://hook.example")
    assert shut.refusal is None
    assert not shut.allow_dial("127.0.0.1", 443)
    assert not shut.allow_dial("10.0.0.1", 443)
    assert shut.refusal == "127.0.0.1 is loopback (RFC 1122 section 3.2.1.3)"


def test_dial_guard_that_allowed_one_dial() -> None:
    """A dial guard that allowed one address of a mixed answer reports no blocked delivery."""
    mixed = gate("https://hook.example")
    assert not mixed.allow_dial("127.0.0.1", 443)
    assert mixed.allow_dial("93.184.215.14", 443)
    assert not mixed.allow_dial("::1", 443)
    assert mixed.refusal is None


@pytest.mark.parametrize(
    "origin",
    ["http://hook.example", "https://hook.example:8443", "https://HOOK.example", "http://hook.example."],
)  # fmt: skip
def test_dial_guard_judges_the_urls_host(origin: str) -> None:
    """A dial guard judges the host of the URL."""
    assert gate(origin, HOST).allow_dial("10.0.0.5", 443)


@pytest.mark.parametrize(
    "origin",
    [
        "http://hook.example@10.0.0.5",
        "http://hook.example:80@10.0.0.5",
        "http://hook.example\\@10.0.0.5",
        "http://hook.example#@10.0.0.5",
        "http://hook.example?.evil.example",
        "http://hook.example%2eevil.example",
        "http://hook.example\n",
        "http://hook.example:80:80",
        "http://[hook.example]",
        "ftp://hook.example",
        "hook.example",
        "",
    ],
)
def test_dial_guard_guesses_no_host(origin: str) -> None:
    """A dial guard allows no dial if two parsers could read two hosts from a URL."""
    shut = gate(origin, HOST, "0.0.0.0/0")
    assert not shut.allow_dial("93.184.215.14", 80)
    assert shut.refusal == "the URL's host is not one that can be judged"
