"""The resolver's cache: what is known of a name, by the age of the answer."""

import asyncio
import socket
import threading
from collections.abc import Callable
from typing import Any, cast

import pytest

from consumer.delivery.http.resolver import Addresses, Resolver
from support.waiting import wait_until


class Loop:
    """The event loop as the resolver knows it, with a clock of its own."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self._loop = asyncio.get_running_loop()

    def time(self) -> float:
        """Seconds."""
        return self.now

    def call_soon_threadsafe(self, callback: Callable[..., None], *args: Any) -> None:
        """On the running loop."""
        self._loop.call_soon_threadsafe(callback, *args)

    def call_later(self, seconds: float, callback: Callable[..., None], *args: Any) -> None:
        """Kept until `pass_seconds`."""
        self.timers.append((self.now + seconds, lambda: callback(*args)))

    def pass_seconds(self, seconds: float) -> None:
        """Let the timers come that are due then."""
        self.now += seconds
        due = [timer for timer in self.timers if timer[0] <= self.now]
        self.timers = [timer for timer in self.timers if timer[0] > self.now]
        for _, callback in due:
            callback()

    def call_soon(self, callback: Callable[..., None], *args: Any) -> None:
        """On the running loop."""
        self._loop.call_soon(callback, *args)


class ResolverHarness:
    """A resolver, its clock, and what the C library answers."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.resolver = Resolver(cast("asyncio.AbstractEventLoop", self.loop))
        self.answers: list[list[str] | Exception | threading.Event] = []
        """An event: hangs until that is set, and then finds 192.0.2.9."""

    def getaddrinfo(self, _host: str, _port: object, **_more: object) -> list[Any]:
        """As `socket.getaddrinfo`: the next of `answers`."""
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, threading.Event):
            answer.wait(10)
            answer = ["192.0.2.9"]
        return [(None, None, None, None, (address, 0)) for address in answer]

    async def ask(self, host: str = "a.example") -> tuple[Addresses, str]:
        """Wait for the answer."""
        found: asyncio.Future[tuple[Addresses, str]] = asyncio.get_running_loop().create_future()
        self.resolver.resolve(host, lambda *answer: found.set_result(answer))
        return await asyncio.wait_for(found, 10)

    async def refreshed(self) -> None:
        """Wait for the lookup that goes on beside."""
        names = self.resolver._names
        await wait_until(lambda: not any(name.under_way for name in names.values()), "an answer")


@pytest.fixture
async def desk(monkeypatch: pytest.MonkeyPatch) -> ResolverHarness:
    """With nothing known."""
    desk = ResolverHarness()
    monkeypatch.setattr(socket, "getaddrinfo", desk.getaddrinfo)
    return desk


async def test_addresses_in_the_systems_order(desk: ResolverHarness) -> None:
    """Addresses come in the system's order, each once, of both families."""
    desk.answers = [["2001:db8::1", "192.0.2.1", "192.0.2.1"]]
    assert desk.resolver.cached("a.example") == ()
    assert (await desk.ask())[0] == ("2001:db8::1", "192.0.2.1")
    assert desk.resolver.cached("a.example") == ("2001:db8::1", "192.0.2.1")


async def test_a_changed_answer_is_followed(desk: ResolverHarness) -> None:
    """A changed DNS answer is followed within a minute.

    1. For a minute nothing is looked up. 2. Then the old address serves until the new one is here.
    """
    desk.answers = [["192.0.2.1"], ["192.0.2.2"]]
    await desk.ask()
    desk.loop.now += 59
    assert desk.resolver.cached("a.example") == ("192.0.2.1",)
    assert len(desk.answers) == 1
    desk.loop.now += 2
    assert desk.resolver.cached("a.example") == ("192.0.2.1",)
    await desk.refreshed()
    assert desk.resolver.cached("a.example") == ("192.0.2.2",)


async def test_name_servers_that_are_away(desk: ResolverHarness) -> None:
    """If name servers are away, known addresses are used for five minutes.

    1. What was known serves for five minutes; every five seconds they are asked. 2. Then the name
    is no longer known, and a request for it gets the reason.
    """
    away = socket.gaierror(-3, "Temporary failure in name resolution")
    desk.answers = [["192.0.2.1"], away, away, away, away]
    await desk.ask()
    desk.loop.now += 61
    assert desk.resolver.cached("a.example") == ("192.0.2.1",)
    await desk.refreshed()
    desk.loop.now += 4
    assert desk.resolver.cached("a.example") == ("192.0.2.1",)
    assert len(desk.answers) == 3
    desk.loop.now += 2
    assert desk.resolver.cached("a.example") == ("192.0.2.1",)
    await desk.refreshed()
    assert len(desk.answers) == 2
    desk.loop.now += 300
    assert desk.resolver.cached("a.example") == ()
    assert await desk.ask() == ((), "Temporary failure in name resolution")
    assert desk.resolver._names == {}


async def test_addresses_that_are_refused(desk: ResolverHarness) -> None:
    """A name whose addresses are all refused is looked up again two seconds after the last lookup,
    and later attempts wait for that answer.
    """
    desk.answers = [["0.0.0.0"], ["0.0.0.0"], ["192.0.2.1"]]
    await desk.ask()
    for _ in range(2):
        desk.resolver.doubt("a.example", usable=False)
        assert desk.resolver.cached("a.example") == ("0.0.0.0",)
        desk.loop.now += 2.1
        assert desk.resolver.cached("a.example") == ()
        await desk.ask()
    assert desk.answers == []
    assert desk.resolver.cached("a.example") == ("192.0.2.1",)
    desk.loop.now += 59
    assert desk.resolver.cached("a.example") == ("192.0.2.1",)


async def test_addresses_that_lead_nowhere(desk: ResolverHarness) -> None:
    """A name to whose addresses no connection was made is looked up again, two seconds after the
    last lookup at the earliest, and the next attempt has the new ones.
    """
    desk.answers = [["192.0.2.1"], ["192.0.2.2"]]
    await desk.ask()
    desk.loop.now += 1
    desk.resolver.doubt("a.example", usable=True)
    await desk.refreshed()
    assert desk.resolver.cached("a.example") == ("192.0.2.1",)
    assert len(desk.answers) == 1
    desk.loop.now += 1.1
    desk.resolver.doubt("a.example", usable=True)
    await desk.refreshed()
    assert desk.resolver.cached("a.example") == ("192.0.2.2",)


async def test_an_attempt_long_after_a_failed_one_waits_for_a_lookup(desk: ResolverHarness) -> None:
    """An attempt long after a failed one, such as a circuit's probe, waits for a new lookup."""
    desk.answers = [["192.0.2.1"], ["192.0.2.2"]]
    await desk.ask()
    desk.resolver.doubt("a.example", usable=True)
    desk.loop.now += 10
    assert desk.resolver.cached("a.example") == ()
    assert (await desk.ask())[0] == ("192.0.2.2",)


async def test_doubted_addresses_are_tried_again_if_the_name_servers_hang(
    desk: ResolverHarness,
) -> None:
    """If name servers hang, an attempt waits one second at most and then uses the doubted
    addresses.
    """
    hanging = threading.Event()
    desk.answers = [["192.0.2.1"], hanging]
    await desk.ask()
    desk.resolver.doubt("a.example", usable=True)
    desk.loop.now += 3
    heard: list[Addresses] = []
    for _ in range(2):
        assert desk.resolver.cached("a.example") == ()
        desk.resolver.resolve("a.example", lambda addresses, _problem: heard.append(addresses))
    desk.loop.pass_seconds(0.9)
    assert heard == []
    desk.loop.pass_seconds(0.2)
    assert heard == [("192.0.2.1",)] * 2
    hanging.set()
    await desk.refreshed()
    assert len(heard) == 2
    assert desk.resolver.cached("a.example") == ("192.0.2.9",)


async def test_doubts_while_name_servers_are_away(desk: ResolverHarness) -> None:
    """However often connections fail, there are two seconds between two lookups, and known
    addresses are used as long as without failures.
    """
    away = socket.gaierror(-3, "Temporary failure in name resolution")
    desk.answers = [["192.0.2.1"], away, away]
    await desk.ask()
    desk.loop.now += 3
    for left in (1, 1, 1):
        desk.resolver.doubt("a.example", usable=True)
        await desk.refreshed()
        assert len(desk.answers) == left
    desk.loop.now += 2.1
    desk.resolver.doubt("a.example", usable=True)
    await desk.refreshed()
    assert desk.answers == []
    assert desk.resolver.cached("a.example") == ("192.0.2.1",)
    desk.loop.now += 296
    desk.answers = [away]
    assert desk.resolver.cached("a.example") == ()
    await desk.refreshed()


async def test_doubts_about_a_name_that_is_not_known(desk: ResolverHarness) -> None:
    """A failed connection to a name that a policy change removed from the cache is no error."""
    desk.resolver.doubt("a.example", usable=False)
    assert desk.resolver._names == {}


@pytest.mark.parametrize("error", [socket.gaierror(-2, "no such name"), UnicodeError("label")])
async def test_a_name_that_is_none(desk: ResolverHarness, error: Exception) -> None:
    """A name that does not resolve has no addresses and a reason, and nothing of it is cached."""
    desk.answers = [error, []]
    for _ in range(2):
        addresses, problem = await desk.ask()
        assert addresses == ()
        assert problem
    assert desk.resolver._names == {}


async def test_no_more_threads(desk: ResolverHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that can start no more threads is a reason like any other failed lookup."""

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert await desk.ask() == ((), "can't start new thread")


async def test_forgotten_names_are_answered_once_more(desk: ResolverHarness) -> None:
    """A lookup under way at an invalidation is answered, and its answer is not cached."""
    desk.answers = [["192.0.2.1"]]
    found: list[Addresses] = []
    desk.resolver.resolve("a.example", lambda addresses, _problem: found.append(addresses))
    desk.resolver.invalidate()
    await wait_until(lambda: found, "the answer")
    assert found == [("192.0.2.1",)]
    assert desk.resolver.cached("a.example") == ()
