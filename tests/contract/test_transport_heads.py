"""An answer is its status line and header block, whatever becomes of its body.

Both adapters, without and with TLS; HTTP/2, which libcurl alone has.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable

import pytest
import trustme

from consumer.delivery.http import curl_routes
from consumer.delivery.http.curl import CurlTransport
from consumer.delivery.http.transport import AttemptResult, Transport
from consumer.reasons import ErrorKind
from support.attempts import LOOPBACK, Attempt, answer_of, get, trusting
from support.http2 import Http2Receiver, Stream
from support.receiver import Receiver, Reply, Then, response
from support.tls import server_context

TIMEOUT = 2.0
"""Seconds for an answer whose body does not end; its header block is there long before, also on a
busy machine."""
ENDS = [Then.CLOSE, Then.ABORT, Then.RESET, Then.HANG, Then.DRIP]
CHUNKED = b"Transfer-Encoding: chunked\r\n"
LENGTH = b"Content-Length: 10000\r\n"
"""More than a receiver that drips sends within `TIMEOUT`: a body that ends is no odd one, and what
drips behind it would meet the next request on the connection."""
WHOLE = {
    "nothing": b"\r\n",
    "body": b"\r\nabc",
    "length": LENGTH + b"\r\n",
    "short": LENGTH + b"\r\nabc",
    "chunked": CHUNKED + b"\r\n",
    "chunk": CHUNKED + b"\r\n5\r\nab",
    "no-chunk": CHUNKED + b"\r\nzz\r\n",
    "trailer": CHUNKED + b"\r\n3\r\nabc\r\n0\r\nX-Trailer",
    "gzip": b"Content-Encoding: gzip\r\n\r\nno gzip",
    "events": b"Content-Type: text/event-stream\r\nConnection: keep-alive\r\n\r\n",
}
CUT = {
    "status": b"HTTP/1.1 200",
    "status-line": b"HTTP/1.1 200 OK\r\n",
    "field": b"HTTP/1.1 200 OK\r\nX-A: b",
    "fields": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n",
    "behind-another": b"HTTP/1.1 103 Hints\r\nX-A: b\r\n\r\nHTTP/1.1 200 OK\r\nX-A: b\r\n",
    "interim-only": b"HTTP/1.1 103 Hints\r\nX-A: b\r\n\r\n",
}


class Odd:
    """What a receiver says to a request for `/<name>`: that, and then the end; else 200."""

    def __init__(self) -> None:
        self.replies: dict[str, Reply] = {}

    def reply(self, head: bytes) -> Reply:
        """To the request with this head."""
        return self.replies.get(head.split(b" ")[1][1:].decode(), response())


@pytest.fixture
def odd() -> Odd:
    """Nothing odd yet."""
    return Odd()


@pytest.fixture(params=["http", "https"])
async def receiver(
    request: pytest.FixtureRequest, server_tls: ssl.SSLContext, odd: Odd
) -> AsyncIterator[Receiver]:
    """A receiver without and with TLS."""
    tls = server_tls if request.param == "https" else None
    async with Receiver(otherwise=odd.reply, tls=tls) as receiver:
        yield receiver


async def answers_to(
    transport: Transport, receiver: Receiver, names: Iterable[str]
) -> dict[str, AttemptResult]:
    """Of requests for these, all at once."""
    attempts = {
        name: Attempt(transport, get(f"{receiver.origin}/{name}", timeout=TIMEOUT))
        for name in names
    }
    return {name: await attempt.answer() for name, attempt in attempts.items()}


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.name.lower())
async def test_complete_head_counts(
    transport: Transport, receiver: Receiver, odd: Odd, end: Then
) -> None:
    """An answer with a complete header block counts by its status, however the body or TLS ends:
    the request is sent once, and the next attempt succeeds.
    """
    odd.replies = {name: Reply(b"HTTP/1.1 200 OK\r\n" + rest, end) for name, rest in WHOLE.items()}
    answers = await answers_to(transport, receiver, WHOLE)
    counted = {name: (answer.status, answer.error) for name, answer in answers.items()}
    assert counted == dict.fromkeys(WHOLE, (200, None))
    assert len(receiver.requests) == len(WHOLE)
    assert (await answer_of(transport, get(receiver.origin + "/"))).status == 200


async def test_a_body_that_is_not_http_ends_the_attempt(
    transport: Transport, receiver: Receiver, odd: Odd
) -> None:
    """A body that is not HTTP ends the attempt at once with the answer's status: its slot is not
    held until the time-out.
    """
    head = b"HTTP/1.1 202 OK\r\n" + WHOLE["no-chunk"]
    odd.replies["odd"] = Reply(head, Then.HANG)
    answer = await answer_of(transport, get(f"{receiver.origin}/odd", timeout=3_600.0))
    assert answer.status == 202


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.name.lower())
async def test_retry_after_counts_too(transport: Transport, receiver: Receiver, end: Then) -> None:
    """The `Retry-After` of a complete header block counts, whatever becomes of the body."""
    head = b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nTransfer-Encoding: chunked\r\n\r\n"
    receiver.then_play([Reply(head, end)])
    answer = await answer_of(transport, get(receiver.origin + "/", timeout=TIMEOUT))
    assert (answer.status, answer.error, answer.retry_after) == (503, None, 7)


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.name.lower())
async def test_cut_head_does_not_count(
    transport: Transport, receiver: Receiver, odd: Odd, end: Then
) -> None:
    """A header block that is cut before its empty line is no answer, whatever its status line says.

    libcurl by itself takes one that a closed connection cuts for a success.
    """
    odd.replies = {name: Reply(data, end) for name, data in CUT.items()}
    answers = await answers_to(transport, receiver, CUT)
    assert {answer.status for answer in answers.values()} == {0}
    kinds = {answer.error for answer in answers.values()}
    if end is Then.DRIP:  # what drips may make the block none
        assert kinds <= {ErrorKind.TIMEOUT, ErrorKind.CONNECT}
    else:
        assert kinds == {ErrorKind.TIMEOUT if end is Then.HANG else ErrorKind.CONNECT}
    assert (await answer_of(transport, get(receiver.origin + "/"))).status == 200


async def test_steady_origin_that_becomes_odd(
    monkeypatch: pytest.MonkeyPatch, transport: Transport, receiver: Receiver
) -> None:
    """Answers without end count from the second one on at the latest, though many before them ended
    properly; one with a length or a part of a body counts at once.
    """
    monkeypatch.setattr(curl_routes, "_INITIAL_WATCHED_ANSWERS", 2)
    for _ in range(5):
        assert (await answer_of(transport, get(receiver.origin + "/"))).status == 200
    head = b"HTTP/1.1 200 OK\r\n"
    whole = [head + LENGTH + b"\r\n", head + b"\r\nabc", head + CHUNKED + b"\r\n5\r\nab"]
    receiver.then_play(Reply(data, Then.RESET) for data in whole)
    for _ in whole:
        assert (await answer_of(transport, get(receiver.origin + "/"))).status == 200
    receiver.then_play([Reply(head + CHUNKED + b"\r\n", Then.RESET)] * 4)
    await answer_of(transport, get(receiver.origin + "/"))
    for _ in range(3):
        assert (await answer_of(transport, get(receiver.origin + "/"))).status == 200


async def test_odd_answers_among_many(transport: Transport, receiver: Receiver, odd: Odd) -> None:
    """Each attempt has the answer to its own request, also while many are under way."""
    odd.replies = {
        "odd": Reply(b"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n", Then.RESET),
        "cut": Reply(b"HTTP/1.1 200 OK\r\nX-A", Then.RESET),
        "fine": response(204),
    }
    names = ["odd", "cut", "fine"] * 40
    attempts = [Attempt(transport, get(f"{receiver.origin}/{name}")) for name in names]
    assert [(await attempt.answer()).status for attempt in attempts] == [202, 0, 204] * 40


HTTP2_ENDS = [Stream.RESET, Stream.GO_AWAY, Stream.CLOSE, Stream.HANG]


@pytest.mark.parametrize("end", HTTP2_ENDS, ids=lambda end: end.name.lower())
@pytest.mark.parametrize("body", [b"", b"abc"], ids=["no body", "part of a body"])
async def test_complete_head_counts_over_http2(
    ca_file: str, authority: trustme.CA, end: Stream, body: bytes
) -> None:
    """HEADERS of HTTP/2 are the answer, whatever follows them: RST_STREAM, GOAWAY, the connection's
    end or nothing.
    """
    transport = CurlTransport(asyncio.get_running_loop(), LOOPBACK, trusting(ca_file))
    async with Http2Receiver(server_context(authority, "127.0.0.1")) as receiver:
        receiver.then_play([(end, body)])
        answer = await answer_of(transport, get(receiver.origin + "/", timeout=TIMEOUT))
        assert (answer.status, answer.error) == (200, None)
        assert len(receiver.requests) == 1
        assert (await answer_of(transport, get(receiver.origin + "/"))).status == 204
    await transport.close()
