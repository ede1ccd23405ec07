"""The guard, a real resolver, and a server that answers at every address.

Nothing of either client is replaced: names are looked up by the C library over UDP. What counts is
which addresses TCP connections were made to.
"""

from itertools import permutations

import pytest

from consumer.delivery.egress.special_addresses import IPV4_BLOCKS, IPV6_BLOCKS
from support.own_network import PORT, Told, run_inside, unavailable

PUBLIC, PUBLIC_6 = "93.184.215.14", "2606:4700::1"

pytestmark = [
    pytest.mark.skipif(bool(unavailable()), reason=f"no network of its own: {unavailable()}"),
    pytest.mark.parametrize("transport", ["curl", "aiohttp"]),
]


def url(host: str) -> str:
    """On the port where the server listens."""
    return f"http://{f'[{host}]' if ':' in host else host}:{PORT}/"


def assert_blocked(told: Told) -> None:
    """Nothing was dialled, and the guard says why."""
    assert (told.dialled, told.status, told.error) == ([], 0, "blocked"), told


def test_public_addresses_are_dialled(transport: str) -> None:
    """A public address is reached by name and by number, which the following tests of refusals rest
    on.
    """
    names = {"four.example": [[PUBLIC]], "six.example": [[PUBLIC_6]]}
    hosts = ["four.example", "six.example", PUBLIC, PUBLIC_6]
    told = run_inside(transport, [url(host) for host in hosts], names=names)
    assert [one.dialled for one in told] == [[PUBLIC], [PUBLIC_6]] * 2
    assert {one.status for one in told} == {200}


@pytest.mark.parametrize("named", [False, True], ids=["literal", "by name"])
def test_no_special_address_is_dialled(transport: str, *, named: bool) -> None:
    """Neither the first nor the last address of any special-purpose block is dialled, nor one that
    is IPv4-mapped.
    """
    ends = [end for b in IPV4_BLOCKS for end in (b.network[0], b.network[-1])]
    addresses = [str(end) for end in ends] + [f"::ffff:{end}" for end in ends]
    addresses += [str(end) for b in IPV6_BLOCKS for end in (b.network[0], b.network[-1])]
    addresses += ["1::1", "4000::1", "8000::1"]  # outside of every block, and of 2000::/3
    names = {f"n{number}.example": [[address]] for number, address in enumerate(addresses)}
    told = run_inside(
        transport, [url(host) for host in (names if named else addresses)], names=names
    )
    assert len(told) == len(addresses)
    for one in told:
        assert_blocked(one)


def test_of_mixed_answers_only_the_public_one_is_dialled(transport: str) -> None:
    """Of a DNS answer with public and forbidden addresses only the public one is dialled, whatever
    their order.
    """
    orders = list(permutations(["127.0.0.1", PUBLIC, "fd00::1", "::ffff:10.0.0.5"]))
    names = {f"n{number}.example": [order] for number, order in enumerate(orders)}
    for one in run_inside(transport, [url(name) for name in names], names=names):
        assert (one.status, one.dialled) == (200, [PUBLIC])


def test_rebinding(transport: str) -> None:
    """A name that resolves differently at each lookup (DNS rebinding) is dialled at its public
    address only.
    """
    answers = [[PUBLIC], ["127.0.0.1"], [PUBLIC], ["169.254.169.254", "fd00::1"], [PUBLIC_6]]
    told = run_inside(transport, [url("r.example")] * len(answers), names={"r.example": answers})
    assert [one.dialled for one in told] == [[PUBLIC], [], [PUBLIC], [], [PUBLIC_6]]
    assert_blocked(told[1])
    assert_blocked(told[3])


def test_aliases_lead_where_their_addresses_do(transport: str) -> None:
    """A CNAME is judged by the addresses that it leads to, be they internal or public."""
    names = {"in.example": [["db.internal"]], "out.example": [["public.example"]],
             "db.internal": [["10.0.0.5"]], "public.example": [[PUBLIC]]}  # fmt: skip
    inside, outside = run_inside(transport, [url("in.example"), url("out.example")], names=names)
    assert_blocked(inside)
    assert (outside.status, outside.dialled) == (200, [PUBLIC])


@pytest.mark.parametrize(
    "host", ["127.1", "2130706433", "0x7f.1", "0177.0.0.1", "127.0.0.1.", "localhost", "0"]
)
def test_unusual_spellings_of_loopback(transport: str, host: str) -> None:
    """No client dials an unusual spelling of a loopback address."""
    (told,) = run_inside(transport, [url(host)])
    assert (told.status, told.dialled) == (0, [])


def test_a_host_that_is_allowed_by_name(transport: str) -> None:
    """A host that is allowed by name is reached wherever it is, and nothing else there is, by
    another name or by a redirect.
    """
    names = {"own.internal": [["10.0.0.5"]], "other.internal": [["10.0.0.5"]]}
    hosts = ["own.internal", "OWN.internal", "other.internal", "10.0.0.5", "sub.own.internal"]
    for location in (url("10.0.0.6"), url("169.254.169.254"), url("other.internal")):
        told = run_inside(
            transport, [url(host) for host in hosts],
            names=names, allow=["own.internal"], location=location,
        )  # fmt: skip
        assert [one.dialled for one in told] == [["10.0.0.5"]] * 2 + [[]] * 3
        assert [one.status for one in told] == [302, 302, 0, 0, 0]


EVERYTHING = ["0.0.0.0/0", "::/0", "127.0.0.1", "own.example"]


@pytest.mark.parametrize("allow", [[], EVERYTHING], ids=["by default", "everything allowed"])
@pytest.mark.parametrize(
    ("own", "hosts"),
    [
        ("127.0.0.1:8080", ["127.0.0.1", "0.0.0.0", "::ffff:127.0.0.1", "own.example"]),
        (
            "0.0.0.0:8080",
            ["127.0.0.1", "127.0.0.2", "::1", "::", "10.0.0.5", PUBLIC, "own.example"],
        ),
        ("kafka:8080", ["127.0.0.1", "::1", "10.0.0.5", "::ffff:10.0.0.5", PUBLIC, "own.example"]),
    ],
    ids=["admin server", "admin server everywhere", "broker"],
)
def test_what_is_the_daemons_is_not_dialled(
    transport: str, own: str, hosts: list[str], allow: list[str]
) -> None:
    """The daemon's own endpoints are not dialled by any address or name, even if the settings allow
    all networks.
    """
    told = run_inside(
        transport, [url(host) for host in hosts],
        names={"own.example": [["127.0.0.1"]]}, allow=allow, own=[own],
    )  # fmt: skip
    for one in told:
        assert_blocked(one)


def test_what_is_the_daemons_can_be_opened(transport: str) -> None:
    """An `allow` entry with its port opens one of the daemon's own endpoints, and no other."""
    urls = [url("127.0.0.1"), url("127.0.0.2")]
    first, second = run_inside(transport, urls, allow=["127.0.0.1:8080"], own=["127.0.0.1:8080"])
    assert (first.status, first.dialled) == (200, ["127.0.0.1"])
    assert_blocked(second)
