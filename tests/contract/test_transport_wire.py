"""What goes over the wire, byte for byte, and what of an answer counts. Both HTTP adapters."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable
from email.utils import formatdate
from http import HTTPStatus

import pytest
import uvloop

from consumer import __version__
from consumer.clock import SystemClock
from consumer.delivery.http import aiohttp_pool, curl_easy
from consumer.delivery.http.aiohttp import AiohttpTransport
from consumer.delivery.http.curl import CurlTransport
from consumer.delivery.http.transport import (
    MAX_BODY_BYTES,
    MAX_RETRY_AFTER_SECONDS,
    AttemptResult,
    Transport,
)
from consumer.reasons import ErrorKind
from support.attempts import LOOPBACK, PATIENCE, Attempt, answer_of, get, trusting
from support.receiver import Receiver, Reply, Then, response


@pytest.fixture(params=["http", "https"])
async def receiver(
    request: pytest.FixtureRequest, server_tls: ssl.SSLContext
) -> AsyncIterator[Receiver]:
    """A receiver without and with TLS; says 200 where a test gives it nothing else to say."""
    async with Receiver(tls=server_tls if request.param == "https" else None) as receiver:
        yield receiver


@pytest.fixture
async def plain() -> AsyncIterator[Receiver]:
    """A receiver without TLS."""
    async with Receiver() as receiver:
        yield receiver


def fields(head: bytes) -> list[tuple[bytes, bytes]]:
    """The header fields of a request, without the white space around values."""
    lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")[1:]
    return [(name, value.strip()) for name, _, value in (line.partition(b":") for line in lines)]


async def test_request_is_what_was_asked(transport: Transport, receiver: Receiver) -> None:
    """A request has the given headers with `host` and `accept` added, and no agent, encodings,
    cookies or connection header; bytes outside ASCII and empty values arrive as they are.
    """
    headers = [
        f"user-agent: hookstream/{__version__}".encode(),
        b"X-City: \xc4\xb0stanbul",
        b"x-empty: ",
        b"x-odd: a: b: ",
        b"webhook-id: e1:h1",
    ]
    await answer_of(transport, get(receiver.origin + "/collect?uid=u42", *headers))
    (head,) = receiver.requests
    assert head.startswith(b"GET /collect?uid=u42 HTTP/1.1\r\n")
    assert sorted((name.lower(), value) for name, value in fields(head)) == [
        (b"accept", b"*/*"),
        (b"host", receiver.authority.encode()),
        (b"user-agent", f"hookstream/{__version__}".encode()),
        (b"webhook-id", b"e1:h1"),
        (b"x-city", b"\xc4\xb0stanbul"),
        (b"x-empty", b""),
        (b"x-odd", b"a: b:"),
    ]
    assert b"X-City" in head, "the author's spelling of a name"


async def test_bare_request(transport: Transport, plain: Receiver) -> None:
    """A request without headers names neither a client nor an encoding."""
    await answer_of(transport, get(plain.origin + "/"))
    names = {name.lower() for name, _ in fields(plain.requests[0])}
    assert names == {b"host", b"accept"}


async def test_accept_can_be_set(transport: Transport, plain: Receiver) -> None:
    """A hook's own `accept` header replaces the default one."""
    await answer_of(transport, get(plain.origin + "/", b"Accept: application/json"))
    accepted = [value for name, value in fields(plain.requests[0]) if name.lower() == b"accept"]
    assert accepted == [b"application/json"]


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/?",
        "/a?",
        "//double//slash/",
        "/a%2Fb%2fc/%25/%E2%82%AC",
        "/semi;colon='quote'(x)!$&*+,=:@~",
        "/p?a=1&a=2&b&=c&&d=%26%3D%2B+%20",
        "/p?url=http://other.example/?x=/../y",
        "/p?brackets[]=1|2^{}`",
        "/dots./.../a..b/..c",
    ],
)
async def test_target_is_byte_for_byte(transport: Transport, plain: Receiver, target: str) -> None:
    """The target on the wire is the one that was signed: nothing decodes or normalises it."""
    await answer_of(transport, get(plain.origin + target))
    assert plain.requests[0].split(b" ")[1] == target.encode()


@pytest.mark.parametrize("status", [200, 201, 204, 301, 302, 307, 404, 410, 429, 500, 503, 599])
async def test_status(transport: Transport, receiver: Receiver, status: int) -> None:
    """The status is the receiver's own; redirects are not followed, and the time is in whole
    microseconds.
    """
    location = f"Location: {receiver.origin}/elsewhere"
    receiver.then_play([response(status, location, body=b"" if status == 204 else b"body")])
    answer = await answer_of(transport, get(receiver.origin + "/"))
    assert (answer.status, answer.error, answer.detail) == (status, None, "")
    assert 0 < answer.duration < 15
    assert answer.duration == round(answer.duration, 6)
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        (" 7 ", 7),
        ("0", None),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("1000000000", MAX_RETRY_AFTER_SECONDS),
        ("Fri, 31 Dec 1999 23:59:59 GMT", None),
        ("Fri, 31 Dec 2100 23:59:59 GMT", MAX_RETRY_AFTER_SECONDS),
    ],
)
async def test_retry_after(
    transport: Transport, plain: Receiver, value: str, seconds: float | None
) -> None:
    """`Retry-After` is seconds or a date (RFC 9110 section 10.2.3), and None if it is past,
    negative or unreadable.
    """
    plain.then_play([response(503, f"Retry-After: {value}")])
    answer = await answer_of(transport, get(plain.origin + "/"))
    assert (answer.status, answer.retry_after) == (503, seconds)


async def test_retry_after_a_date(transport: Transport, plain: Receiver) -> None:
    """A `Retry-After` date in the future becomes the seconds until then."""
    plain.then_play([response(429, f"Retry-After: {formatdate(time.time() + 600, usegmt=True)}")])
    answer = await answer_of(transport, get(plain.origin + "/"))
    assert answer.retry_after == pytest.approx(600, abs=20)


async def test_no_retry_after(transport: Transport, plain: Receiver) -> None:
    """An absent `Retry-After` is None, even if the connection's last answer had one."""
    plain.then_play([response(503, "Retry-After: 9"), response(503)])
    waits = [(await answer_of(transport, get(plain.origin + "/"))).retry_after for _ in range(2)]
    assert waits == [9, None]


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 103 Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 503 X\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 503 X\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 503\r\nContent-Length: 0\r\n\r\n",
    ],
    ids=["100 first", "103 first", "chunked", "never decompressed", "no reason phrase"],
)
async def test_forms_of_a_response(transport: Transport, receiver: Receiver, data: bytes) -> None:
    """Every form of a response that HTTP/1.1 allows is read, and the connection can be used again
    after it.
    """
    receiver.then_play([Reply(data)])
    for expected in (503, 200):
        assert (await answer_of(transport, get(receiver.origin + "/"))).status == expected
    assert receiver.connections == 1


@pytest.mark.parametrize(
    "head",
    [b"HTTP/1.1 503 X\r\n", b"HTTP/1.0 503 X\r\n"],
)
async def test_body_until_close(transport: Transport, plain: Receiver, head: bytes) -> None:
    """A body without a length ends with the connection (RFC 9112 section 6.3)."""
    plain.then_play([Reply(head + b"\r\nsome text", Then.CLOSE)])
    assert (await answer_of(transport, get(plain.origin + "/"))).status == 503


@pytest.mark.parametrize("form", ["length", "chunked", "until close"])
async def test_long_body_is_cut(transport: Transport, plain: Receiver, form: str) -> None:
    """A body beyond the bound is cut: the status counts, and the connection is closed."""
    mebibyte = b"x" * (1 << 20)
    head = b"HTTP/1.1 503 X\r\nRetry-After: 7\r\n"
    match form:
        case "length":
            data = head + b"Content-Length: %d\r\n\r\n" % len(mebibyte) + mebibyte
        case "chunked":
            data = head + b"Transfer-Encoding: chunked\r\n\r\n100000\r\n" + mebibyte + b"\r\n"
        case _:
            data = head + b"\r\n" + mebibyte
    plain.then_play([Reply(data, Then.HANG)])
    answer = await answer_of(transport, get(plain.origin + "/"))
    assert (answer.status, answer.retry_after) == (503, 7)
    await plain.until(left=1)
    assert (await answer_of(transport, get(plain.origin + "/"))).status == 200
    assert plain.connections == 2


class _Taker:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.head = b""
        self.parts: list[bytes] = []

    def take_line(self, line: bytes) -> None:
        """Take a line of the header block."""
        self.head += line

    def take(self, part: bytes) -> None:
        """Take a part of the body."""
        self.parts.append(part)


@pytest.mark.parametrize("kind", ["curl", "aiohttp"])
async def test_a_body_that_is_wanted_is_given(plain: Receiver, kind: str) -> None:
    """A transport that is made for one request and wants its answer is given the header lines and
    all parts of the body, and of a body beyond the bound the beginning, also if `Content-Length`
    says so at once; the result is the same.
    """
    loop, long = asyncio.get_running_loop(), b"y" * (1 << 20)
    for body, status in ((b"", 204), (b"x" * 3_000, 200), (long, 503)):
        plain.then_play([response(status, "X-Told: yes", body=body)])
        taker = _Taker()
        transport: Transport = (
            CurlTransport(loop, LOOPBACK, trusting(), taker=taker)
            if kind == "curl"
            else AiohttpTransport(loop, LOOPBACK, trusting(), clock=SystemClock(), taker=taker)
        )
        try:
            assert (await answer_of(transport, get(plain.origin + "/"))).status == status
        finally:
            await transport.close()
        found = b"".join(taker.parts)
        assert b"X-Told: yes" in taker.head
        assert body.startswith(found)
        assert len(found) == len(body) or MAX_BODY_BYTES <= len(found) <= 2 * MAX_BODY_BYTES


async def test_connection_is_reused(transport: Transport, receiver: Receiver) -> None:
    """Two requests to a host share a connection, even if a status is an error."""
    receiver.then_play([response(500, body=b"oops")])
    for expected in (500, 200, 200):
        assert (await answer_of(transport, get(receiver.origin + "/"))).status == expected
    assert receiver.connections == 1


async def test_connection_has_an_age(
    transport: Transport, plain: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A busy connection is replaced after its maximum age, so that a changed DNS answer is
    followed, and no attempt fails for it.
    """
    monkeypatch.setattr(curl_easy, "CONNECTION_LIFETIME_SECONDS", 1)
    monkeypatch.setattr(aiohttp_pool, "CONNECTION_LIFETIME_SECONDS", 1)
    async with asyncio.timeout(PATIENCE):
        while plain.connections < 3:
            assert (await answer_of(transport, get(plain.origin + "/"))).status == 200
    await plain.until(left=2)


async def test_connection_close_is_honoured(transport: Transport, receiver: Receiver) -> None:
    """A receiver that ends the connection gets a new one, and every request comes once."""
    receiver.then_play([response(200, "Connection: close", then=Then.CLOSE)] * 3)
    for _ in range(3):
        assert (await answer_of(transport, get(receiver.origin + "/"))).status == 200
    assert (receiver.connections, len(receiver.requests)) == (3, 3)


async def test_connection_that_died_idle(transport: Transport, receiver: Receiver) -> None:
    """A receiver that closes a kept connection without a word costs one attempt at most."""
    receiver.then_play([response(then=Then.CLOSE)] * 3)
    for _ in range(3):
        answer = await answer_of(transport, get(receiver.origin + "/"))
        if answer.error is ErrorKind.CONNECT:
            answer = await answer_of(transport, get(receiver.origin + "/"))
        assert answer.status == 200


async def test_no_cookies(transport: Transport, receiver: Receiver) -> None:
    """Cookies that a receiver sets are not sent back."""
    receiver.then_play([response(200, "Set-Cookie: session=1; Path=/")])
    for _ in range(2):
        await answer_of(transport, get(receiver.origin + "/"))
    assert b"cookie" not in receiver.requests[1].lower()


async def test_environment_proxies_are_ignored(
    transport: Transport, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proxy variables of the environment are ignored, since a proxy would resolve and dial past the
    guard.
    """
    for name in (
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
    ):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert (await answer_of(transport, get(receiver.origin + "/"))).status == 200


async def test_ipv6(transport: Transport) -> None:
    """A literal IPv6 address in brackets is dialled."""
    try:
        async with Receiver(host="::1") as receiver:
            assert (await answer_of(transport, get(receiver.origin + "/"))).status == 200
            assert (b"Host", receiver.authority.encode()) in fields(receiver.requests[0])
    except OSError as error:
        pytest.skip(f"no IPv6 on this machine: {error}")


async def test_hung_request_holds_back_no_other(transport: Transport, receiver: Receiver) -> None:
    """A request that hangs holds back no other to the same host, not even if it is the first one to
    that host.
    """
    receiver.then_play([Reply(then=Then.HANG)])
    others = asyncio.Semaphore(0)
    statuses: list[int] = []

    def done(answer: AttemptResult) -> None:
        statuses.append(answer.status)
        others.release()

    for _ in range(20):
        transport.send(get(receiver.origin + "/"), done)
    async with asyncio.timeout(PATIENCE):
        for _ in range(19):
            await others.acquire()
    assert statuses == [200] * 19


async def test_many_at_once(transport: Transport, receiver: Receiver) -> None:
    """The transport itself bounds no concurrency: two hundred requests are under way at once."""
    attempts = [Attempt(transport, get(f"{receiver.origin}/{number}")) for number in range(200)]
    answers = [await attempt.answer() for attempt in attempts]
    assert {answer.status for answer in answers} == {HTTPStatus.OK}
    assert sorted(int(head.split(b" ")[1][1:]) for head in receiver.requests) == list(range(200))


@pytest.mark.parametrize(
    "opener",
    [
        lambda loop: CurlTransport(loop, LOOPBACK, trusting()),
        lambda loop: AiohttpTransport(loop, LOOPBACK, trusting(), clock=SystemClock()),
    ],
    ids=["curl", "aiohttp"],
)
def test_on_uvloop(opener: Callable[[asyncio.AbstractEventLoop], Transport]) -> None:
    """Both adapters work on uvloop, on which the daemon runs, as on asyncio's own loop."""

    async def talk() -> list[int]:
        transport = opener(asyncio.get_running_loop())
        async with Receiver() as receiver:
            attempts = [Attempt(transport, get(receiver.origin + "/")) for _ in range(50)]
            statuses = [(await attempt.answer()).status for attempt in attempts]
            await transport.close()
        return statuses

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(talk()) == [HTTPStatus.OK] * 50
