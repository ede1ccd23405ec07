"""What only the curl transport has: an engine that can break, its timers, and HTTP/2."""

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pycurl  # type: ignore[import-untyped]  # the stubs of others lag behind its constants
import pytest
import trustme

from consumer.delivery.egress.guard import EgressPolicy
from consumer.delivery.http import curl
from consumer.delivery.http.curl import CurlTransport
from consumer.delivery.http.curl_engine import Engine
from consumer.delivery.http.transport import Request
from consumer.reasons import ErrorKind
from support.attempts import LOOPBACK, PATIENCE, Attempt, answer_of, get, trusting
from support.http2 import Http2Receiver
from support.receiver import Receiver, Reply, Then, response
from support.tls import server_context


@pytest.fixture
async def transport(ca_file: str) -> AsyncIterator[CurlTransport]:
    """The curl transport; it trusts the tests' authority."""
    transport = CurlTransport(asyncio.get_running_loop(), LOOPBACK, trusting(ca_file))
    yield transport
    await transport.close()


@pytest.fixture
async def heard() -> list[BaseException]:
    """What the loop's exception handler was told."""
    heard: list[BaseException] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda _loop, context: heard.append(context["exception"])
    )
    return heard


class Break:
    """Makes one method of the engine raise when told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
        self.now = False
        whole = getattr(Engine, method)

        def wrapped(engine: Engine, *args: Any, **kwargs: Any) -> Any:
            if self.now:
                self.now = False
                raise RuntimeError(method)
            return whole(engine, *args, **kwargs)

        monkeypatch.setattr(Engine, method, wrapped)


@pytest.mark.parametrize("method", ["handle_events", "drain_results"])
async def test_engine_that_breaks(
    monkeypatch: pytest.MonkeyPatch,
    transport: CurlTransport,
    heard: list[BaseException],
    method: str,
) -> None:
    """If libcurl's engine breaks, attempts under way are answered, the loop reports it, and the
    next attempt goes out.
    """
    breaker = Break(monkeypatch, method)
    async with Receiver(Reply(then=Then.HANG)) as receiver:
        hanging = Attempt(transport, get(receiver.origin + "/"))
        await receiver.until(requests=1)
        breaker.now = True
        unlucky = Attempt(transport, get(receiver.origin + "/"))
        assert (await hanging.answer()).error is ErrorKind.CONNECT
        assert [str(error) for error in heard] == [method]
        await unlucky.answer()
        assert (await answer_of(transport, get(receiver.origin + "/"))).status == 200
        assert (len(hanging.answers), len(unlucky.answers)) == (1, 1)


async def test_engine_that_cannot_be_built_again(
    monkeypatch: pytest.MonkeyPatch, transport: CurlTransport, heard: list[BaseException]
) -> None:
    """If no new engine can be built, the transport reports its failure and answers what was sent
    before and after.
    """

    def fail(*_args: object, **_kwargs: object) -> None:
        raise OSError("no descriptors left")

    before = Attempt(transport, get("http://127.0.0.1:9/"))
    Break(monkeypatch, "handle_events").now = True
    monkeypatch.setattr(Engine, "__init__", fail)
    assert (await before.answer()).error is ErrorKind.CONNECT
    after = await answer_of(transport, get("http://127.0.0.1:9/"))
    assert after.error is ErrorKind.CONNECT
    assert [str(error) for error in heard] == ["handle_events", "no descriptors left"]
    assert "OSError: no descriptors left" in await transport.failure()


async def test_engine_that_breaks_idle(
    monkeypatch: pytest.MonkeyPatch, transport: CurlTransport, heard: list[BaseException]
) -> None:
    """If the engine breaks while nothing is under way, the transport ends instead of rebuilding it
    without end.
    """
    breaker = Break(monkeypatch, "handle_events")
    async with Receiver() as receiver:
        request = get(receiver.origin + "/")
        assert (await answer_of(transport, request)).status == 200
        breaker.now = True
    async with asyncio.timeout(PATIENCE):  # the closed connection makes the epoll speak up
        assert "RuntimeError: handle_events" in await transport.failure()
    assert (await answer_of(transport, request)).error is ErrorKind.CONNECT
    assert [str(error) for error in heard] == ["handle_events"]


async def test_what_the_last_answers_send(
    monkeypatch: pytest.MonkeyPatch, transport: CurlTransport, heard: list[BaseException]
) -> None:
    """A callback that is answered because the engine broke may send again, on the new engine."""
    again: list[Attempt] = []
    async with Receiver(Reply(then=Then.HANG)) as receiver:
        request = get(receiver.origin + "/")
        transport.send(request, lambda _answer: again.append(Attempt(transport, request)))
        await receiver.until(requests=1)
        Break(monkeypatch, "handle_events").now = True
        await answer_of(transport, request)
        assert (await again[0].answer()).status == 200
    assert [str(error) for error in heard] == ["handle_events"]


async def test_the_earliest_timer_counts(transport: CurlTransport) -> None:
    """A timer that is set for an earlier moment than the pending one takes its place."""
    async with Receiver(otherwise=lambda _head: Reply(then=Then.HANG)) as receiver:
        late = Attempt(transport, get(receiver.origin + "/", timeout=10))
        await receiver.until(requests=1)
        early = Attempt(transport, get(receiver.origin + "/", timeout=0.2))
        assert (await early.answer()).error is ErrorKind.TIMEOUT
        assert late.answers == []


async def test_close_with_a_request_that_cannot_be_sent(transport: CurlTransport) -> None:
    """`close` answers a malformed request that the loop has not come to yet."""
    attempt = Attempt(transport, get("http://127.0.0.1/\0"))
    await transport.close()
    assert [answer.error for answer in attempt.answers] == [ErrorKind.CONNECT]


@pytest.mark.parametrize(
    "request_",
    [get("http://127.0.0.1"), get("http://127.0.0.1/ı"), get("http://127.0.0.1/\0"), get("/")],
)
async def test_request_that_cannot_be_sent(transport: CurlTransport, request_: Request) -> None:
    """A request that libcurl refuses is answered with an error, and harms no other."""
    answer = await answer_of(transport, request_)
    assert (answer.error, bool(answer.detail)) == (ErrorKind.CONNECT, True)
    async with Receiver() as receiver:
        assert (await answer_of(transport, get(receiver.origin + "/"))).status == 200


async def test_close_does_not_wait_for_a_lookup(monkeypatch: pytest.MonkeyPatch) -> None:
    """A DNS lookup that hangs in the C library does not hold up `close`."""
    closed, released = threading.Event(), threading.Event()

    class Stuck(pycurl.CurlMulti):  # type: ignore[misc]  # without stubs it is Any
        def close(self) -> None:
            released.wait(10)
            super().close()
            closed.set()

    monkeypatch.setattr(pycurl, "CurlMulti", Stuck)
    monkeypatch.setattr(curl, "_CLOSE_TIMEOUT_SECONDS", 0.05)
    transport = CurlTransport(asyncio.get_running_loop(), LOOPBACK, trusting())
    async with Receiver(Reply(then=Then.HANG)) as receiver:
        attempt = Attempt(transport, get(receiver.origin + "/"))
        await receiver.until(requests=1)
        await transport.close()
        assert len(attempt.answers) == 1
        assert not closed.is_set()
        released.set()
        assert await asyncio.to_thread(closed.wait, 10)
        await receiver.until(left=1)


async def test_dead_idle_connection_costs_nothing(transport: CurlTransport) -> None:
    """No attempt is lost to a kept connection that has died: libcurl notices it or sends again."""
    async with Receiver(*[response(then=Then.CLOSE)] * 10) as receiver:
        for _ in range(10):
            assert (await answer_of(transport, get(receiver.origin + "/"))).status == 200


async def test_change_on_http2(transport: CurlTransport, authority: trustme.CA) -> None:
    """No new stream begins on an HTTP/2 connection that the new policy forbids."""
    async with Http2Receiver(server_context(authority, "127.0.0.1")) as receiver:
        before = [Attempt(transport, get(receiver.origin + "/")) for _ in range(20)]
        for attempt in before:
            assert (await attempt.answer()).status == 204
        transport.set_policy(EgressPolicy.of())
        behind = [Attempt(transport, get(receiver.origin + "/")) for _ in range(20)]
        assert {(await attempt.answer()).error for attempt in behind} == {ErrorKind.BLOCKED}
        assert len(receiver.requests) == 20


@pytest.mark.parametrize(
    ("receiver", "shared"),
    [(Http2Receiver, True), (lambda context: Receiver(tls=context), False)],
)
async def test_only_http2_shares_sockets(
    transport: CurlTransport,
    authority: trustme.CA,
    receiver: Callable[[ssl.SSLContext], Http2Receiver | Receiver],
    shared: bool,
) -> None:
    """Requests that go over one HTTP/2 connection in one loop iteration are sent together."""
    engine = transport._engine
    assert engine is not None
    context = server_context(authority, "127.0.0.1")
    async with receiver(context) as there:
        assert (await answer_of(transport, get(there.origin + "/"))).status in {200, 204}
        assert bool(engine._sockets._shared) == shared


async def test_http2(transport: CurlTransport, authority: trustme.CA) -> None:
    """Over TLS HTTP/2 is used if the receiver has it: many requests share one connection, and each
    target is sent byte for byte.
    """
    target = "/a%2fb//c;d?x='%25'&y=?"
    async with Http2Receiver(server_context(authority, "127.0.0.1")) as receiver:
        headers = (b"X-City: \xc4\xb0zmir", b"x-e: ")
        await answer_of(transport, get(receiver.origin + target, *headers))
        attempts = [Attempt(transport, get(receiver.origin + "/")) for _ in range(50)]
        assert {(await attempt.answer()).status for attempt in attempts} == {204}
        assert receiver.connections == 1
        fields = dict(receiver.requests[0])
        assert fields[b":path"] == target.encode()
        assert fields.keys() == {
            b":method", b":path", b":scheme", b":authority", b"accept", b"x-city", b"x-e",
        }  # fmt: skip
        assert (fields[b"x-city"], fields[b"x-e"]) == (b"\xc4\xb0zmir", b"")
