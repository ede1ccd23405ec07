"""What is known of a name, by the age of the answer."""

import asyncio
import socket
import threading
from collections.abc import Callable
from typing import Any, cast

import pytest

from consumer.delivery.resolver import Addresses, Resolver
from support.waiting import wait_until


class Loop:
    """The event loop as the resolver knows it, with a clock of its own."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._loop = asyncio.get_running_loop()

    def time(self) -> float:
        """Seconds."""
        return self.now

    def call_soon_threadsafe(self, callback: Callable[..., None], *args: Any) -> None:
        """On the running loop."""
        self._loop.call_soon_threadsafe(callback, *args)

    def call_soon(self, callback: Callable[..., None], *args: Any) -> None:
        """On the running loop."""
        self._loop.call_soon(callback, *args)


class Desk:
    """A resolver, its clock, and what the C library answers."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.resolver = Resolver(cast("asyncio.AbstractEventLoop", self.loop))
        self.answers: list[list[str] | Exception] = []

    def getaddrinfo(self, _host: str, _port: object, **_more: object) -> list[Any]:
        """As `socket.getaddrinfo`: the next of `answers`."""
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return [(None, None, None, None, (address, 0)) for address in answer]

    async def ask(self, host: str = "a.example") -> tuple[Addresses, str]:
        """Wait for the answer."""
        found: asyncio.Future[tuple[Addresses, str]] = asyncio.get_running_loop().create_future()
        self.resolver.ask(host, lambda *answer: found.set_result(answer))
        return await asyncio.wait_for(found, 10)

    async def refreshed(self) -> None:
        """Wait for the lookup that goes on beside."""
        names = self.resolver._names
        await wait_until(lambda: not any(name.under_way for name in names.values()), "an answer")


@pytest.fixture
async def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    """With nothing known."""
    desk = Desk()
    monkeypatch.setattr(socket, "getaddrinfo", desk.getaddrinfo)
    return desk


async def test_addresses_in_the_systems_order(desk: Desk) -> None:
    """Each once, of both families."""
    desk.answers = [["2001:db8::1", "192.0.2.1", "192.0.2.1"]]
    assert desk.resolver.known("a.example") == ()
    assert (await desk.ask())[0] == ("2001:db8::1", "192.0.2.1")
    assert desk.resolver.known("a.example") == ("2001:db8::1", "192.0.2.1")


async def test_a_changed_answer_is_followed(desk: Desk) -> None:
    """1. For a minute nothing is looked up. 2. Then the old address serves until the new one is
    here.
    """
    desk.answers = [["192.0.2.1"], ["192.0.2.2"]]
    await desk.ask()
    desk.loop.now += 59
    assert desk.resolver.known("a.example") == ("192.0.2.1",)
    assert len(desk.answers) == 1
    desk.loop.now += 2
    assert desk.resolver.known("a.example") == ("192.0.2.1",)
    await desk.refreshed()
    assert desk.resolver.known("a.example") == ("192.0.2.2",)


async def test_name_servers_that_are_away(desk: Desk) -> None:
    """1. What was known serves for five minutes; every five seconds they are asked. 2. Then it is
    not known any more, and who asks hears why.
    """
    away = socket.gaierror(-3, "Temporary failure in name resolution")
    desk.answers = [["192.0.2.1"], away, away, away, away]
    await desk.ask()
    desk.loop.now += 61
    assert desk.resolver.known("a.example") == ("192.0.2.1",)
    await desk.refreshed()
    desk.loop.now += 4
    assert desk.resolver.known("a.example") == ("192.0.2.1",)
    assert len(desk.answers) == 3
    desk.loop.now += 2
    assert desk.resolver.known("a.example") == ("192.0.2.1",)
    await desk.refreshed()
    assert len(desk.answers) == 2
    desk.loop.now += 300
    assert desk.resolver.known("a.example") == ()
    assert await desk.ask() == ((), "Temporary failure in name resolution")
    assert desk.resolver._names == {}


@pytest.mark.parametrize("error", [socket.gaierror(-2, "no such name"), UnicodeError("label")])
async def test_a_name_that_is_none(desk: Desk, error: Exception) -> None:
    """There are no addresses, and a reason; nothing is kept of it."""
    desk.answers = [error, []]
    for _ in range(2):
        addresses, problem = await desk.ask()
        assert addresses == ()
        assert problem
    assert desk.resolver._names == {}


async def test_no_more_threads(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's limit is a reason like another."""

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert await desk.ask() == ((), "can't start new thread")


async def test_forgotten_names_are_answered_once_more(desk: Desk) -> None:
    """What was asked before is answered, and does not count as known."""
    desk.answers = [["192.0.2.1"]]
    found: list[Addresses] = []
    desk.resolver.ask("a.example", lambda addresses, _problem: found.append(addresses))
    desk.resolver.forget()
    await wait_until(lambda: found, "the answer")
    assert found == [("192.0.2.1",)]
    assert desk.resolver.known("a.example") == ()
