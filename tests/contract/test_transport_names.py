"""Names of hosts: each is looked up for itself, and one that hangs harms no other."""

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from consumer.delivery.transport import Transport
from consumer.reasons import ErrorKind
from support.attempts import PATIENCE, Attempt, answer_of, get
from support.receiver import Receiver, response
from support.waiting import wait_until

_MANY = 40
"""More than libcurl, asyncio and uvloop have threads for lookups."""


class Names:
    """Instead of the C library's lookups: `hang*` hangs until `released`, all else is loopback."""

    def __init__(self) -> None:
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
        if host == "nobody.example":
            raise socket.gaierror(-2, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 0))]


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


async def test_names_that_hang_hold_up_no_other(names: Names, transport: Transport) -> None:
    """1. Forty names hang. 2. Another is looked up and called. 3. The forty end at their limit, and
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
    """A lookup is a part of connecting."""
    del names
    request = get("http://hang.example/", timeout=PATIENCE, connect=0.1)
    assert (await answer_of(transport, request)).error is ErrorKind.TIMEOUT


async def test_a_name_is_looked_up_once(names: Names, transport: Transport) -> None:
    """By however many attempts it is wanted, at once or one after the other, with a final dot or
    without, over new connections too.
    """
    last = response(200, "Connection: close")
    async with Receiver(otherwise=lambda _head: last) as receiver:
        attempts = [Attempt(transport, get(url(receiver, "fine.example"))) for _ in range(20)]
        assert {(await attempt.answer()).status for attempt in attempts} == {200}
        assert (await answer_of(transport, get(url(receiver, "fine.example")))).status == 200
        assert (await answer_of(transport, get(url(receiver, "dot.example.")))).status == 200
        assert receiver.connections == 22
    assert [names.asked["fine.example"], names.asked.total()] == [1, 2]


async def test_a_name_that_nobody_has(names: Names, transport: Transport) -> None:
    """The error is in the system's words, and the next attempt asks again."""
    for times in (1, 2):
        answer = await answer_of(transport, get("http://nobody.example/"))
        assert answer.error is ErrorKind.DNS
        assert "nobody" not in answer.detail
        assert names.asked["nobody.example"] == times


async def test_numbers_are_not_looked_up(names: Names, transport: Transport) -> None:
    """They are what is dialled."""
    async with Receiver() as receiver:
        assert (await answer_of(transport, get(receiver.origin + "/"))).status == 200
    assert names.asked.total() == 0


async def test_close_while_a_lookup_hangs(names: Names, transport: Transport) -> None:
    """It is answered, and nobody waits for it."""
    attempt = Attempt(transport, get("http://hang.example/"))
    await wait_until(lambda: names.asked["hang.example"] == 1, "the lookup to begin")
    async with asyncio.timeout(PATIENCE):
        await transport.close()
    assert [answer.error for answer in attempt.answers] == [ErrorKind.CONNECT]
    assert names.ended == 0
