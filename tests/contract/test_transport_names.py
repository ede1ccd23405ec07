"""Names of hosts: each is looked up for itself, and one that hangs harms no other."""

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import trustme

from consumer.delivery.http import lookups, resolver
from consumer.delivery.http.curl import CurlTransport
from consumer.delivery.http.transport import Transport
from consumer.reasons import ErrorKind
from support.attempts import LOOPBACK, PATIENCE, Attempt, answer_of, get, trusting
from support.forwarder import DropsSyns
from support.http2 import Http2Receiver
from support.receiver import Receiver, response
from support.tls import server_context
from support.waiting import wait_until

_MANY = 40
"""More than libcurl, asyncio and uvloop have threads for lookups."""


class Names:
    """Instead of the C library's lookups: `hang*` hangs until `released`, all else is loopback, if
    `addresses` does not say otherwise.
    """

    def __init__(self) -> None:
        self.addresses: dict[str, list[str]] = {}
        self.asked: Counter[str] = Counter()
        self.released = threading.Event()
        self.ended = 0

    def getaddrinfo(self, host: str, port: object, *_rest: object, **_more: object) -> list[Any]:
        """As `socket.getaddrinfo`."""
        del port
        self.asked[host] += 1
        if host.startswith("hang"):
            self.released.wait(PATIENCE)
            self.ended += 1
        if host == "absent.example":
            raise socket.gaierror(-2, "Name or service not known")
        found = self.addresses.get(host, ["127.0.0.1"])
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (address, 0)) for address in found]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    """What is looked up, in this test."""
    names = Names()
    monkeypatch.setattr(socket, "getaddrinfo", names.getaddrinfo)
    yield names
    names.released.set()


def url(receiver: Receiver, host: str) -> str:
    """The receiver's, by a name."""
    return receiver.origin.replace("127.0.0.1", host) + "/"


def port_of(receiver: Receiver) -> int:
    """Its port."""
    return int(receiver.authority.rpartition(":")[2])


async def test_names_that_hang_hold_up_no_other(names: Names, transport: Transport) -> None:
    """Names whose lookup hangs hold up no other name and end at their own limit.

    1. Forty names hang. 2. Another is looked up and called. 3. The forty end at their limit, and
    nothing was sent for them, not even when they are found at last.
    """
    async with Receiver() as receiver:
        stuck = [
            Attempt(transport, get(url(receiver, f"hang{number}.example"), timeout=0.5))
            for number in range(_MANY)
        ]
        await wait_until(lambda: len(names.asked) == _MANY, "the lookups to begin")
        answer = await answer_of(transport, get(url(receiver, "fine.example")))
        assert answer.status == 200
        for attempt in stuck:
            answer = await attempt.answer()
            assert (answer.error, answer.status) == (ErrorKind.TIMEOUT, 0)
            assert answer.duration > 0
        names.released.set()
        await wait_until(lambda: names.ended == _MANY, "the lookups to end")
        assert (await answer_of(transport, get(url(receiver, "fine.example")))).status == 200
        assert len(receiver.requests) == 2
        assert {len(attempt.answers) for attempt in stuck} == {1}


async def test_the_connect_limit_counts(names: Names, transport: Transport) -> None:
    """The time of a DNS lookup counts against the connect time-out."""
    del names
    request = get("http://hang.example/", timeout=PATIENCE, connect=0.1)
    assert (await answer_of(transport, request)).error is ErrorKind.TIMEOUT


async def test_a_name_is_looked_up_once(names: Names, transport: Transport) -> None:
    """A name is looked up once for all attempts that want it, at once or one after the other, with
    a final dot or without, over new connections too.
    """
    last = response(200, "Connection: close")
    async with Receiver(otherwise=lambda _head: last) as receiver:
        attempts = [Attempt(transport, get(url(receiver, "fine.example"))) for _ in range(20)]
        assert {(await attempt.answer()).status for attempt in attempts} == {200}
        assert (await answer_of(transport, get(url(receiver, "fine.example")))).status == 200
        assert (await answer_of(transport, get(url(receiver, "dot.example.")))).status == 200
        assert receiver.connections == 22
    assert [names.asked["fine.example"], names.asked.total()] == [1, 2]


async def test_a_name_that_does_not_exist(names: Names, transport: Transport) -> None:
    """A name that does not exist is an error in the system's words, and the next attempt looks it
    up again.
    """
    for times in (1, 2):
        answer = await answer_of(transport, get("http://absent.example/"))
        assert answer.error is ErrorKind.DNS
        assert "absent" not in answer.detail
        assert names.asked["absent.example"] == times


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that are doubted are looked up after a moment instead of two seconds."""
    monkeypatch.setattr(resolver, "_DOUBTED_RETRY_SECONDS", 0.01)


@pytest.mark.usefixtures("soon")
async def test_a_name_whose_addresses_are_refused(names: Names, transport: Transport) -> None:
    """A name that leads into a sinkhole is looked up again within seconds, not after a minute, and
    once its addresses are right an attempt goes there.
    """
    async with Receiver() as receiver:
        request = get(url(receiver, "sink.example"))
        names.addresses["sink.example"] = ["0.0.0.0"]
        for times in (1, 2, 3):
            answer = await answer_of(transport, request)
            assert (answer.error, answer.blocked_by_lookup) == (ErrorKind.BLOCKED, True)
            assert names.asked["sink.example"] == times
            await asyncio.sleep(0.02)
        del names.addresses["sink.example"]
        assert (await answer_of(transport, request)).status == 200
        assert (await answer_of(transport, request)).status == 200
        assert names.asked["sink.example"] == 4


async def test_refused_names_are_not_looked_up_by_each_attempt(
    names: Names, transport: Transport
) -> None:
    """Within two seconds after a lookup its refused addresses are not looked up again by each
    attempt.
    """
    names.addresses["sink.example"] = ["0.0.0.0"]
    for _ in range(5):
        answer = await answer_of(transport, get("http://sink.example:9/"))
        assert answer.error is ErrorKind.BLOCKED
    assert names.asked["sink.example"] == 1


@pytest.mark.usefixtures("soon")
async def test_a_host_that_has_moved(names: Names, transport: Transport) -> None:
    """A name whose addresses refuse connections is looked up again at once, so that the next
    attempts find where the host is now.
    """
    async with Receiver() as receiver:
        names.addresses["moved.example"] = ["127.0.0.9"]
        request = get(url(receiver, "moved.example"))
        assert (await answer_of(transport, request)).error is ErrorKind.CONNECT
        del names.addresses["moved.example"]
        await asyncio.sleep(0.02)
        await answer_of(transport, request)
        await wait_until(lambda: names.asked["moved.example"] > 1, "another lookup")
        await asyncio.sleep(0)
        assert (await answer_of(transport, request)).status == 200


@pytest.mark.usefixtures("soon")
async def test_a_host_that_moved_away_from_kept_connections(
    names: Names, transport: Transport
) -> None:
    """If kept connections to an old address are dead without a FIN, one attempt times out, and the
    next ones go to the new address.
    """
    async with Receiver() as receiver:
        old = await asyncio.start_server(_mute_after_one, "127.0.0.9", port_of(receiver))
        async with old:
            names.addresses["moved.example"] = ["127.0.0.9"]
            target = url(receiver, "moved.example")
            assert (await answer_of(transport, get(target))).status == 200
            del names.addresses["moved.example"]
            await asyncio.sleep(0.02)
            answer = await answer_of(transport, get(target, timeout=0.5))
            assert answer.error is ErrorKind.TIMEOUT
            await wait_until(lambda: names.asked["moved.example"] == 2, "another lookup")
            await asyncio.sleep(0)
            assert (await answer_of(transport, get(target))).status == 200
            assert len(receiver.requests) == 1


async def test_http2_connection_that_is_never_idle(
    names: Names, monkeypatch: pytest.MonkeyPatch, ca_file: str, authority: trustme.CA
) -> None:
    """After its maximum lifetime no attempt begins on a connection, even if streams were under way
    on it all the time: libcurl itself looks at the age of idle connections only.
    """
    del names
    monkeypatch.setattr(resolver, "_FRESH_SECONDS", 0.05)
    monkeypatch.setattr(lookups, "CONNECTION_LIFETIME_SECONDS", 0.2)
    transport = CurlTransport(asyncio.get_running_loop(), LOOPBACK, trusting(ca_file))
    async with Http2Receiver(server_context(authority, "h2.example")) as receiver:
        origin = receiver.origin.replace("127.0.0.1", "h2.example")
        attempts = [Attempt(transport, get(origin + "/hang", timeout=PATIENCE))]
        async with asyncio.timeout(PATIENCE):
            while receiver.connections < 3:
                assert (await answer_of(transport, get(origin + "/"))).status == 204
                attempts.append(Attempt(transport, get(origin + "/hang", timeout=PATIENCE)))
        assert not any(attempt.answers for attempt in attempts)
        await transport.close()


async def test_a_host_that_moves_while_the_old_one_goes_on(
    names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once a lookup finds other addresses only, attempts go there and none uses a kept connection
    to an old address; an address that is dropped while others stay is left within the lifetime of
    connections.
    """
    monkeypatch.setattr(resolver, "_FRESH_SECONDS", 0.05)
    transport = CurlTransport(asyncio.get_running_loop(), LOOPBACK, trusting())
    async with Receiver() as new, Receiver(host="127.0.0.9", port=port_of(new)) as old:
        names.addresses["moved.example"] = ["127.0.0.9"]
        request = get(url(new, "moved.example"))
        assert (await answer_of(transport, request)).status == 200
        names.addresses["moved.example"] = ["127.0.0.1", "127.0.0.8"]
        async with asyncio.timeout(PATIENCE):
            while not new.requests:
                assert (await answer_of(transport, request)).status == 200
        assert (old.connections, new.connections) == (1, 1)
        await transport.close()


async def _mute_after_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the first request of a connection, and no other."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(response().data)
    await reader.read()
    writer.close()


@pytest.mark.parametrize("first", [True, False], ids=["first", "last"])
async def test_one_of_several_addresses_leads_nowhere(
    names: Names, transport: Transport, first: bool
) -> None:
    """If one address of a name refuses or drops connections, another one is dialled within the
    attempt's time.
    """
    async with Receiver() as receiver, DropsSyns("127.0.0.3", port_of(receiver)):
        for dead in ("127.0.0.3", "127.0.0.9"):
            found = [dead, "127.0.0.1"] if first else ["127.0.0.1", dead]
            names.addresses[f"{dead}.example"] = found
            request = get(url(receiver, f"{dead}.example"), timeout=8, connect=3)
            assert (await answer_of(transport, request)).status == 200


async def test_numbers_are_not_looked_up(names: Names, transport: Transport) -> None:
    """A literal address is dialled without a DNS lookup."""
    async with Receiver() as receiver:
        assert (await answer_of(transport, get(receiver.origin + "/"))).status == 200
    assert names.asked.total() == 0


async def test_close_while_a_lookup_hangs(names: Names, transport: Transport) -> None:
    """An attempt whose lookup hangs is answered by `close`, which does not wait for the lookup."""
    attempt = Attempt(transport, get("http://hang.example/"))
    await wait_until(lambda: names.asked["hang.example"] == 1, "the lookup to begin")
    async with asyncio.timeout(PATIENCE):
        await transport.close()
    assert [answer.error for answer in attempt.answers] == [ErrorKind.CONNECT]
    assert names.ended == 0
