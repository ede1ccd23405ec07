"""Whom the headers of a request name, and whose headers are believed."""

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any

import pytest
from multidict import CIMultiDict

from consumer.panel.callers import BadHeaderError, Callers, cookies, is_foreign, is_local, one
from consumer.settings import PanelSettings

PROXY = "10.0.0.7"
SETTINGS = PanelSettings(host="0.0.0.0", trusted_proxies=("10.0.0.0/24",))
CALLERS = Callers(SETTINGS)


def _headers(*pairs: tuple[str, str], host: str = "panel.example.com") -> Any:
    return CIMultiDict([("Host", host), *pairs])


def test_a_trusted_proxy_says_who_a_user_is() -> None:
    """A trusted proxy's headers name user and role; without a role the user is a viewer."""
    headers = _headers(("X-Forwarded-User", "ayse"), ("X-Forwarded-Role", "Editor"))
    caller = CALLERS.caller(PROXY, headers)
    identity = CALLERS.identity(caller, headers)
    assert identity is not None
    assert (identity.name, identity.role, identity.how) == ("ayse", "editor", "proxy")
    bare = _headers(("X-Forwarded-User", "ayse"))
    viewer = CALLERS.identity(CALLERS.caller(PROXY, bare), bare)
    assert viewer is not None
    assert viewer.role == "viewer"


@pytest.mark.parametrize("peer", ["10.0.1.7", "192.0.2.1", "::1", "2001:db8::1", "", None])
def test_headers_of_others_are_ignored(peer: str | None) -> None:
    """User and role headers from any other address name no user, and none of them is believed."""
    headers = _headers(
        ("X-Forwarded-User", "ayse"),
        ("X-Forwarded-Role", "operator"),
        ("X-Forwarded-For", "10.0.0.9"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "localhost"),
    )
    caller = CALLERS.caller(peer, headers)
    assert CALLERS.identity(caller, headers) is None
    assert not caller.is_proxied
    assert not caller.is_secure
    assert caller.hosts == ["panel.example.com"]
    assert str(caller.address) == (peer or "0.0.0.0")


def test_a_mapped_address_is_the_proxys() -> None:
    """A proxy that comes by an IPv4-mapped IPv6 address is known by its IPv4 address."""
    assert CALLERS.caller(f"::ffff:{PROXY}", _headers()).is_proxied


@pytest.mark.parametrize("name", ["X-Forwarded-User", "X-Forwarded-Role"])
def test_a_header_that_is_there_twice_is_refused(name: str) -> None:
    """A second user or role header, which a proxy let through, is refused."""
    headers = _headers(
        ("X-Forwarded-User", "ayse"), ("X-Forwarded-Role", "viewer"), (name, "operator")
    )
    with pytest.raises(BadHeaderError, match="2 times"):
        CALLERS.identity(CALLERS.caller(PROXY, headers), headers)


@pytest.mark.parametrize(
    ("user", "role"),
    [("ay\x00se", "viewer"), ("a" * 129, "viewer"), ("ayse", "root"), ("a\u202eb", "viewer")],
)
def test_a_proxy_that_names_no_user_is_refused(user: str, role: str) -> None:
    """A user's name that is not printable or too long, and a role that is none, are refused."""
    headers = _headers(("X-Forwarded-User", user), ("X-Forwarded-Role", role))
    with pytest.raises(BadHeaderError):
        CALLERS.identity(CALLERS.caller(PROXY, headers), headers)


@pytest.mark.parametrize(
    ("way", "client"),
    [
        ([], PROXY),
        (["198.51.100.1"], "198.51.100.1"),
        (["1.1.1.1, 198.51.100.1"], "198.51.100.1"),  # what the client wrote itself is not believed
        (["1.1.1.1", "198.51.100.1, 10.0.0.8"], "198.51.100.1"),
        (["nonsense, 10.0.0.8"], "10.0.0.8"),
        (["nonsense"], PROXY),
    ],
)
def test_the_client_is_the_last_address_that_is_no_proxy(way: Sequence[str], client: str) -> None:
    """The address of the client is the last one on the way that no trusted proxy has."""
    headers = _headers(*(("X-Forwarded-For", part) for part in way))
    assert CALLERS.caller(PROXY, headers).address == ip_address(client)


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("localhost", True), ("localhost:8460", True), ("127.0.0.1:8460", True),
        ("[::1]:8460", True), ("127.9.9.9", True), ("LOCALHOST", True),
        ("evil.example.com", False), ("localhost.evil.example.com", False), ("", False),
        ("127.0.0.1.evil.example.com", False), ("[::1", False), ("10.0.0.1", False),
        ("evil.example.com@localhost", False), ("localhost@evil.example.com", False),
    ],
)  # fmt: skip
def test_only_names_of_this_machine_are_local(host: str, local: bool) -> None:
    """`localhost` and loopback addresses are this machine; names that lead to it are not."""
    assert is_local(host) is local


def test_a_panel_for_this_machine_takes_no_foreign_host() -> None:
    """A panel on loopback refuses a request for another host name, unless a trusted proxy sent it;
    one for others takes any.
    """
    mine = Callers(PanelSettings())
    foreign = _headers(host="evil.example.com")
    assert not mine.is_ours(mine.caller("127.0.0.1", foreign))
    assert mine.is_ours(mine.caller("127.0.0.1", _headers(host="localhost:8460")))
    beside = Callers(PanelSettings(trusted_proxies=("127.0.0.1/32",)))
    assert beside.is_ours(beside.caller("127.0.0.1", foreign))
    assert CALLERS.is_ours(CALLERS.caller("192.0.2.1", foreign))


@pytest.mark.parametrize(
    ("pairs", "foreign"),
    [
        ([], False),
        ([("Sec-Fetch-Site", "same-origin")], False),
        ([("Sec-Fetch-Site", "none")], False),
        ([("Sec-Fetch-Site", "cross-site")], True),
        ([("Sec-Fetch-Site", "same-site")], True),
        ([("Origin", "https://panel.example.com")], False),
        ([("Origin", "https://panel.example.com:443")], False),
        ([("Origin", "https://evil.example.com")], True),
        ([("Origin", "https://panel.example.com.evil.example.com")], True),
        ([("Origin", "null")], True),
        ([("Origin", "https://panel.example.com"), ("Sec-Fetch-Site", "cross-site")], True),
    ],
)
def test_a_page_of_another_site_is_noticed(pairs: list[tuple[str, str]], foreign: bool) -> None:
    """A request that a browser sent for another site's page is foreign by either header."""
    headers = _headers(*pairs)
    assert is_foreign(CALLERS.caller("192.0.2.1", headers), headers) is foreign


def test_cookies_and_single_headers() -> None:
    """Cookies are read from all lines with every value of a name; a header is read once."""
    headers = _headers(("Cookie", "a=1; b=2"), ("Cookie", "a=3; c"))
    assert cookies(headers) == {"a": ["1", "3"], "b": ["2"]}
    assert one(headers, "X-None") == ""
    with pytest.raises(BadHeaderError):
        one(headers, "Cookie")


def test_connections_are_counted_by_client() -> None:
    """An IPv4 address, and an IPv6 network of 64 bits, is one client; a trusted proxy is none."""
    assert CALLERS.peer_name("192.0.2.1") != CALLERS.peer_name("192.0.2.2")
    assert CALLERS.peer_name("2001:db8::1") == CALLERS.peer_name("2001:db8::2")
    assert CALLERS.peer_name("2001:db8::1") != CALLERS.peer_name("2001:db8:0:1::1")
    assert CALLERS.peer_name(PROXY) is None
