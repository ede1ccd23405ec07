"""One host, one spelling."""

import pytest

from consumer.documents.hosts import normalise_host
from consumer.errors import InvalidValue


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("Example.COM", "example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
        ("faß.example", "xn--fa-hia.example"),
        ("\uff11\uff19\uff12.0.2.1", "192.0.2.1"),
        ("192.0.2.1", "192.0.2.1"),
        ("[2001:DB8:0::1]", "[2001:db8::1]"),
        ("[0:0:0:0:0:0:0:1]", "[::1]"),
        ("my_service", "my_service"),
        ("example.com.", "example.com."),
        ("r3---sn-x.example", "r3---sn-x.example"),
        ("1.example", "1.example"),
    ],
)
def test_spellings_of_one_host_become_one(written: str, normal: str) -> None:
    """Spellings of one host become one text, by which bounds per host and the guard compare."""
    assert normalise_host(written) == normal


@pytest.mark.parametrize(
    "host",
    [
        "127.1",
        "0x7f.0.0.1",
        "0x7f000001",
        "2130706433",
        "0177.0.0.1",
        "192.0.2.01",
        "256.0.0.1",
        "1.2.3.4.5",
        "example.0x1",
        "127.0.0.1.",
        "127。1",
    ],
)
def test_unusual_ipv4_spellings_are_refused(host: str) -> None:
    """Unusual IPv4 spellings are refused, since clients disagree on them (WHATWG URL section
    3.5).
    """
    with pytest.raises(InvalidValue, match="unusual spelling of an IPv4"):
        normalise_host(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        ".",
        "a..b",
        "-a.example",
        "a.-b",
        "a.b-",
        "a-.example",
        "a" * 64,
        "a." * 127 + "ab",
        "a%41",
        "a b",
        "☃️‍",
    ],
)
def test_what_is_no_host_is_refused(host: str) -> None:
    """A text that is neither a DNS name nor an address is refused."""
    with pytest.raises(InvalidValue, match="not a domain name"):
        normalise_host(host)


@pytest.mark.parametrize("host", ["[::1", "[]", "[1.2.3.4]", "[fe80::1%eth0]", "[::1]]", "[[::1]"])
def test_broken_ipv6_literals_are_refused(host: str) -> None:
    """Invalid IPv6 literals are refused, those with a zone included."""
    with pytest.raises(InvalidValue, match="not an IPv6 address"):
        normalise_host(host)
