"""The guard at work: whatever a URI or DNS says, no connection reaches a forbidden listener."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from consumer.delivery.egress.guard import EgressPolicy, OwnEndpoint
from consumer.delivery.http.aiohttp import AiohttpTransport
from consumer.delivery.http.curl import CurlTransport
from consumer.delivery.http.transport import AttemptResult, Transport
from consumer.reasons import ErrorKind
from support.attempts import LOOPBACK, Attempt, Opener, answer_of, get
from support.receiver import Receiver, Reply, Then, response
from support.waiting import wait_until

OPEN = "127.0.0.1"
SHUT = "127.0.0.2"
ONE_ADDRESS = EgressPolicy.of(allow=[OPEN])
LAST = response(200, "Connection: close", then=Then.CLOSE)


class Trap:
    """Listens and never accepts: the kernel queues what connects."""

    def __init__(self, family: socket.AddressFamily, host: str, port: int) -> None:
        self._socket = socket.create_server((host, port), family=family)
        self._socket.setblocking(False)

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._socket.getsockname()[1]
        return port

    def assert_untouched(self) -> None:
        """No TCP connection has been made to it."""
        with pytest.raises(BlockingIOError):
            self._socket.accept()

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()


class Names(dict[str, list[str]]):
    """What DNS says from now on, by name: both clients' lookups are answered from here."""


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    """Answers for names that the test chooses; all other names go to the real resolver."""
    names = Names()
    lookup = socket.getaddrinfo

    def getaddrinfo(host: str, port: int, *rest: Any, **more: Any) -> list[Any]:
        found = [lookup(a, port, *rest, **more) for a in names.get(host, [host])]
        return [answer for answers in found for answer in answers]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return names


def forget_names(transport: Transport) -> None:
    """As if they had been looked up long ago."""
    if isinstance(transport, AiohttpTransport):
        transport._pool.names.resolver.invalidate()
    else:
        assert isinstance(transport, CurlTransport)
        transport._lookups.forget()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """Where requests may go."""
    async with Receiver(host=OPEN) as receiver:
        yield receiver


@pytest.fixture
def trap(receiver: Receiver) -> Iterator[Trap]:
    """Where they may not: another address with the same port, as in one answer set."""
    trap = Trap(socket.AF_INET, SHUT, port_of(receiver))
    try:
        yield trap
        trap.assert_untouched()
    finally:
        trap.close()


def port_of(receiver: Receiver) -> int:
    """Its port."""
    return int(receiver.authority.rpartition(":")[2])


def assert_blocked(answer: AttemptResult, *words: str, by_lookup: bool = False) -> None:
    """Refused by the guard, with a reason that a person can read; `by_lookup`: because of the
    addresses that a name has just now.
    """
    assert (answer.status, answer.error, answer.retry_after) == (0, ErrorKind.BLOCKED, None)
    assert answer.blocked_by_lookup == by_lookup
    for word in words:
        assert word in answer.detail


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("host", [SHUT, f"[::ffff:{SHUT}]", "[::ffff:7f00:2]"])
async def test_literal_address(open_transport: Opener, trap: Trap, scheme: str, host: str) -> None:
    """A literal address needs no lookup and is judged by the guard all the same."""
    transport = open_transport(policy=ONE_ADDRESS)
    answer = await answer_of(transport, get(f"{scheme}://{host}:{trap.port}/"))
    assert_blocked(answer, "loopback (RFC 1122")


@pytest.mark.parametrize("host", ["127.2", "2130706434", "0x7f.0.0.2", "0177.0.0.02", "0x7f000002"])
async def test_unusual_spelling(open_transport: Opener, trap: Trap, host: str) -> None:
    """A host in an unusual spelling is judged as the address that it is, or not dialled at all."""
    transport = open_transport(policy=ONE_ADDRESS)
    answer = await answer_of(transport, get(f"http://{host}:{trap.port}/"))
    assert answer.error in {ErrorKind.BLOCKED, ErrorKind.CONNECT}


async def test_loopback_over_ipv6(open_transport: Opener) -> None:
    """The IPv6 loopback address is refused by default."""
    try:
        trap = Trap(socket.AF_INET6, "::1", 0)
    except OSError as error:
        pytest.skip(f"no IPv6 on this machine: {error}")
    transport = open_transport(policy=ONE_ADDRESS)
    assert_blocked(await answer_of(transport, get(f"http://[::1]:{trap.port}/")), "::1 is loopback")
    trap.assert_untouched()
    trap.close()


async def test_localhost(open_transport: Opener, trap: Trap) -> None:
    """The name `localhost`, as the system's own resolver answers it, is refused by default."""
    answer = await answer_of(
        open_transport(policy=EgressPolicy.of()), get(f"http://localhost:{trap.port}/")
    )
    assert_blocked(answer, "is loopback")


@pytest.mark.parametrize(
    "addresses",
    [[SHUT], [SHUT, "10.0.0.1"], ["::1", SHUT], ["fe80::1", "169.254.169.254"]],
    ids=str,
)
async def test_name_of_forbidden_addresses(
    open_transport: Opener, names: Names, trap: Trap, addresses: list[str]
) -> None:
    """A name whose addresses are all forbidden is blocked, with the reason of one of them."""
    names["rebound.example"] = addresses
    transport = open_transport(policy=ONE_ADDRESS)
    answer = await answer_of(transport, get(f"http://rebound.example:{trap.port}/"))
    assert_blocked(answer, by_lookup=True)
    assert any(answer.detail.startswith(f"{address} is ") for address in addresses)


@pytest.mark.parametrize(
    "addresses",
    [[SHUT, OPEN], [OPEN, SHUT], ["::1", OPEN], [OPEN, "::1"], ["10.0.0.1", SHUT, "::1", OPEN]],
    ids=str,
)
async def test_mixed_answer_set(
    open_transport: Opener, names: Names, receiver: Receiver, trap: Trap, addresses: list[str]
) -> None:
    """Of a name with allowed and forbidden addresses only allowed ones are dialled, in whatever
    order they come and on every new connection.
    """
    names["mixed.example"] = addresses
    transport = open_transport(policy=ONE_ADDRESS)
    receiver.then_play([LAST] * 5)
    for _ in range(5):
        answer = await answer_of(transport, get(f"http://mixed.example:{trap.port}/"))
        assert answer.status == 200
    assert receiver.connections == 5


@pytest.mark.parametrize("addresses", [[SHUT, "127.0.0.3"], ["127.0.0.3", SHUT]], ids=str)
async def test_mixed_answer_set_whose_open_part_is_down(
    open_transport: Opener, names: Names, trap: Trap, addresses: list[str]
) -> None:
    """If the allowed addresses of a mixed answer are down, the attempt is a connect error and no
    forbidden address is dialled.
    """
    names["mixed.example"] = addresses
    transport = open_transport(policy=EgressPolicy.of(allow=["127.0.0.3"]))
    answer = await answer_of(transport, get(f"http://mixed.example:{trap.port}/"))
    assert answer.error is ErrorKind.CONNECT


async def test_rebinding(
    open_transport: Opener, names: Names, receiver: Receiver, trap: Trap
) -> None:
    """A name is judged again at each new connection, and one that was refused can be allowed later
    (DNS rebinding).
    """
    transport = open_transport(policy=ONE_ADDRESS)
    request = get(f"http://rebound.example:{trap.port}/")
    receiver.then_play([LAST] * 3)
    for address in (OPEN, SHUT, OPEN, SHUT, OPEN):
        names["rebound.example"] = [address]
        forget_names(transport)
        answer = await answer_of(transport, request)
        if address == OPEN:
            assert answer.status == 200
        else:
            assert_blocked(answer, SHUT, by_lookup=True)


async def test_allowed_by_name(open_transport: Opener, names: Names, receiver: Receiver) -> None:
    """A host that is allowed by name is reached wherever it is, and its address under another name
    is not.
    """
    names["receiver.internal"] = names["other.internal"] = [OPEN]
    transport = open_transport(policy=EgressPolicy.of(allow=["receiver.internal"]))
    port = port_of(receiver)
    receiver.then_play([LAST])
    assert (await answer_of(transport, get(f"http://receiver.internal:{port}/"))).status == 200
    for host in ("other.internal", OPEN):
        answer = await answer_of(transport, get(f"http://{host}:{port}/"))
        assert_blocked(answer, OPEN, by_lookup=host != OPEN)
    assert receiver.connections == 1


async def test_denied(open_transport: Opener, names: Names, receiver: Receiver) -> None:
    """`deny` wins over `allow`, by name and by address."""
    names["denied.example"] = [OPEN]
    port = port_of(receiver)
    for denied in ("denied.example", OPEN):
        transport = open_transport(policy=EgressPolicy.of(allow=["127.0.0.0/8"], deny=[denied]))
        answer = await answer_of(transport, get(f"http://denied.example:{port}/"))
        assert_blocked(answer, denied, "network.deny", by_lookup=denied == OPEN)
    assert receiver.connections == 0


async def test_own_endpoint(open_transport: Opener, receiver: Receiver) -> None:
    """The daemon's own listeners cannot be reached even inside an allowed network."""
    own = OwnEndpoint.of(receiver.authority, "the admin server")
    transport = open_transport(policy=EgressPolicy.of(allow=["127.0.0.0/8"], own=[own]))
    answer = await answer_of(transport, get(receiver.origin + "/"))
    assert_blocked(answer, "the admin server")
    assert receiver.connections == 0


async def test_pooled_connection_after_a_change(open_transport: Opener, receiver: Receiver) -> None:
    """After a policy change a pooled connection that it forbids is not used and is closed without a
    further request.
    """
    transport = open_transport()
    for _ in range(2):
        assert (await answer_of(transport, get(receiver.origin + "/"))).status == 200
    assert receiver.connections == 1
    transport.set_policy(EgressPolicy.of())
    assert_blocked(await answer_of(transport, get(receiver.origin + "/")), OPEN)
    await receiver.until(left=1)
    assert (receiver.connections, len(receiver.requests)) == (1, 2)


async def test_idle_connection_is_closed_after_a_change(
    open_transport: Opener, receiver: Receiver
) -> None:
    """An idle connection that a new policy forbids is closed at once, though nothing is sent any
    more.
    """
    transport = open_transport()
    for number in range(20):
        transport.set_policy(LOOPBACK)
        for _ in range(1 + number % 2):
            assert (await answer_of(transport, get(receiver.origin + "/"))).status == 200
        transport.set_policy(EgressPolicy.of())
        await receiver.until(left=number + 1)


async def test_the_same_policy_again(open_transport: Opener, receiver: Receiver) -> None:
    """Setting an equal policy again closes no connection."""
    transport = open_transport(policy=EgressPolicy.of(allow=["10.0.0.0/8", OPEN]))
    for _ in range(3):
        transport.set_policy(EgressPolicy.of(allow=[OPEN, "10.0.0.0/8"]))
        assert (await answer_of(transport, get(receiver.origin + "/"))).status == 200
    assert receiver.connections == 1


async def test_policy_that_opens(open_transport: Opener, receiver: Receiver) -> None:
    """A destination that was blocked is reached once a new policy allows it."""
    transport = open_transport(policy=EgressPolicy.of())
    assert_blocked(await answer_of(transport, get(receiver.origin + "/")))
    transport.set_policy(LOOPBACK)
    assert (await answer_of(transport, get(receiver.origin + "/"))).status == 200


async def test_attempt_under_way_at_a_change(open_transport: Opener, receiver: Receiver) -> None:
    """An attempt under way at a policy change ends as it began, and its connection closes
    afterwards.
    """
    released = asyncio.Event()
    whole = response()
    receiver.then_play([Reply(whole.data, after=released)])
    transport = open_transport()
    attempt = Attempt(transport, get(receiver.origin + "/"))
    await receiver.until(requests=1)
    transport.set_policy(EgressPolicy.of())
    assert_blocked(await answer_of(transport, get(receiver.origin + "/")))
    assert attempt.answers == []
    released.set()
    assert (await attempt.answer()).status == 200
    await receiver.until(left=1)


async def test_close_after_a_change(open_transport: Opener, receiver: Receiver) -> None:
    """Attempts that began before a policy change are answered by `close`."""
    receiver.then_play([Reply(then=Then.HANG)] * 2)
    transport = open_transport()
    before = Attempt(transport, get(receiver.origin + "/"))
    await receiver.until(requests=1)
    transport.set_policy(ONE_ADDRESS)
    behind = Attempt(transport, get(receiver.origin + "/"))
    await receiver.until(requests=2)
    await transport.close()
    for attempt in (before, behind):
        assert [answer.error for answer in attempt.answers] == [ErrorKind.CONNECT]
    transport.set_policy(EgressPolicy.of())  # a reload in the very end of the daemon
    await receiver.until(left=2)


AUTHORITIES = "/memfd:authorities"
"""A copy of the trusted authorities in memory, which lives as long as its object."""


async def test_many_changes_leave_nothing(open_transport: Opener, receiver: Receiver) -> None:
    """Many policy changes leave no connection, file descriptor or unanswered attempt behind."""
    before = descriptors(but=AUTHORITIES)
    transport = open_transport()
    for number in range(20):
        transport.set_policy(LOOPBACK if number % 2 else ONE_ADDRESS)
        attempts = [Attempt(transport, get(receiver.origin + "/")) for _ in range(5)]
        shut = [Attempt(transport, get("http://10.0.0.1/")) for _ in range(5)]
        assert {(await attempt.answer()).status for attempt in attempts} == {200}
        assert {(await attempt.answer()).error for attempt in shut} == {ErrorKind.BLOCKED}
    await transport.close()
    await receiver.until(left=receiver.connections)
    await wait_until(lambda: descriptors(but=AUTHORITIES) == before, "all to be closed")


async def test_sockets_are_not_inherited(open_transport: Opener, receiver: Receiver) -> None:
    """A child process of the daemon inherits none of its connections (PEP 446)."""
    before = descriptors()
    transport = open_transport()
    assert (await answer_of(transport, get(receiver.origin + "/"))).status == 200
    opened = descriptors() - before
    assert opened
    assert not any(os.get_inheritable(number) for number in opened)


def descriptors(*, but: str | None = None) -> set[int]:
    """Those of this process, without the one that lists them and those of the file `but`."""
    targets = {}
    for entry in list(Path("/proc/self/fd").iterdir()):
        with suppress(FileNotFoundError):
            targets[int(entry.name)] = str(entry.readlink())
    return {
        number for number, target in targets.items() if but is None or not target.startswith(but)
    }
