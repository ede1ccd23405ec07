"""Whatever bytes a receiver answers: each attempt gets one answer, and the next one is well."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.clock import SystemClock
from consumer.delivery.http.aiohttp import AiohttpTransport
from consumer.delivery.http.curl import CurlTransport
from consumer.delivery.http.transport import MAX_RETRY_AFTER_SECONDS, AttemptResult, Transport
from support.attempts import LOOPBACK, Attempt, get, trusting
from support.receiver import Receiver, Reply, Then, response

_TIMEOUT = 0.3
"""Seconds for an attempt whose answer never ends."""

_PATIENCE = 10.0
"""Seconds for one whose answer does."""

# Pieces of HTTP, right and wrong, so that chance gets past the first line.
STATUS = st.sampled_from(
    [b"HTTP/1.1 200 OK", b"HTTP/1.1 404", b"HTTP/1.0 503 \xff", b"HTTP/1.1 100 Continue",
     b"HTTP/2 200", b"HTTP/1.1 999 x", b"HTTP/1.1 -1 x", b"HTTP/1.1 204 No", b"HTTP/0.9 200",
     b"http/1.1 200 ok", b"HTTP/1.1 101 Up", b"ICY 200 OK", b"HTTP/1.1 00200 OK", b""]
)  # fmt: skip
FIELDS = st.sampled_from(
    [b"Content-Length: 3", b"Content-Length: 99999999999999999999", b"Content-Length: -1",
     b"Content-Length: 3, 3", b"content-length:\t1", b"Transfer-Encoding: chunked",
     b"Transfer-Encoding: gzip, chunked", b"Content-Encoding: gzip", b"Retry-After: 1",
     b"Retry-After: " + b"9" * 400, b"Retry-After: Tue, 99 Foo 2026", b"Retry-After: nan",
     b"Connection: close", b"Connection: upgrade", b"Set-Cookie: a=b", b"Location: file:///etc",
     b"X: a\x00b", b" folded", b": nameless", b"nothing", b"X: " + b"y" * 9_000,
     b'Alt-Svc: h3=":443"', b"Strict-Transport-Security: max-age=1"]
)  # fmt: skip
BODIES = st.sampled_from(
    [b"abc", b"", b"3\r\nabc\r\n0\r\n\r\n", b"zz\r\n", b"FFFFFFFFFFFFFFFF\r\n", b"\x1f\x8b\x08",
     b"0\r\nX: y\r\n\r\n", b"x" * 70_000, b"3;" + b"e" * 5_000 + b"\r\nabc\r\n0\r\n\r\n"]
)  # fmt: skip
ENDS = st.sampled_from([b"\r\n", b"\r\n", b"\n", b"\r"])
THEN = st.sampled_from([Then.CLOSE, Then.CLOSE, Then.ABORT, Then.RESET, Then.KEEP])


@st.composite
def responses(draw: st.DrawFn) -> bytes:
    """Something like a response; often followed by another one."""
    end = draw(ENDS)
    head = end.join([draw(STATUS), *draw(st.lists(FIELDS, max_size=4))])
    more = draw(st.sampled_from([b"", b"", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]))
    return head + end + end + draw(BODIES) + more


REPLIES = st.builds(Reply, responses() | st.binary(max_size=300), THEN)


@st.composite
def complete_heads(draw: st.DrawFn) -> tuple[int, bytes]:
    """A status, and an answer with that status whose header block is right and complete; what
    stands behind it is anything.
    """
    status = draw(st.sampled_from([200, 202, 302, 404, 410, 429, 500, 503]))
    fields = draw(
        st.sets(
            st.sampled_from(
                [b"Content-Type: text/plain", b"Retry-After: 1", b"Connection: close",
                 b"Content-Encoding: gzip", b"X: \xc3\xa9", b"Trailer: X-T", b'ETag: "a"']
            )
        )
    )  # fmt: skip
    framing = draw(
        st.sampled_from(
            [
                [],
                [b"Content-Length: 3"],
                [b"Content-Length: 99999"],
                [b"Transfer-Encoding: chunked"],
            ]
        )
    )
    lines = [b"HTTP/1.1 %d Whatever" % status, *sorted(fields), *framing, b"", b""]
    return status, b"\r\n".join(lines) + draw(BODIES | st.binary(max_size=300))


def _check(answer: AttemptResult) -> None:
    assert (answer.status == 0) == (answer.error is not None)
    assert answer.status == 0 or 200 <= answer.status <= 999
    assert answer.retry_after is None or 0 < answer.retry_after <= MAX_RETRY_AFTER_SECONDS
    assert len(answer.detail) < 1_000


def _curl(loop: asyncio.AbstractEventLoop) -> Transport:
    return CurlTransport(loop, LOOPBACK, trusting())


def _aiohttp(loop: asyncio.AbstractEventLoop) -> Transport:
    return AiohttpTransport(loop, LOOPBACK, trusting(), clock=SystemClock())


@pytest.mark.parametrize("opener", [_curl, _aiohttp], ids=["curl", "aiohttp"])
def test_any_bytes_are_one_answer(
    opener: Callable[[asyncio.AbstractEventLoop], Transport],
) -> None:
    """Any bytes from a receiver are exactly one answer to the attempt, and the next attempt
    succeeds.

    1. A receiver sends bytes of all kinds, over a real socket, and closes, resets or waits. 2. Each
    attempt has exactly one answer, whose parts are in their bounds; nothing escapes into the loop.
    3. The transport then delivers as if nothing had been.
    """
    with asyncio.Runner() as runner:
        escaped: list[dict[str, Any]] = []
        loop = runner.get_loop()
        loop.set_exception_handler(lambda _loop, context: escaped.append(context))
        odd: list[Reply] = []
        receiver = runner.run(_open_receiver(odd))
        transport = runner.run(_opened(opener))

        @given(reply=REPLIES)
        def attempt(reply: Reply) -> None:
            odd[:] = [reply]
            runner.run(_attempt(transport, receiver.origin))

        try:
            attempt()
        finally:
            runner.run(transport.close())
            runner.run(receiver.__aexit__(None, None, None))
    assert escaped == []


@pytest.mark.parametrize("opener", [_curl, _aiohttp], ids=["curl", "aiohttp"])
def test_a_complete_head_is_the_answer(
    opener: Callable[[asyncio.AbstractEventLoop], Transport],
) -> None:
    """The status of a complete header block is the answer, whatever follows it and however the
    connection ends.
    """
    with asyncio.Runner() as runner:
        odd: list[Reply] = []
        receiver = runner.run(_open_receiver(odd))
        transport = runner.run(_opened(opener))

        @given(head=complete_heads(), then=st.sampled_from([Then.CLOSE, Then.ABORT, Then.RESET]))
        def attempt(head: tuple[int, bytes], then: Then) -> None:
            status, data = head
            odd[:] = [Reply(data, then)]
            assert runner.run(_attempt(transport, receiver.origin, _PATIENCE)).status == status

        try:
            attempt()
        finally:
            runner.run(transport.close())
            runner.run(receiver.__aexit__(None, None, None))


async def _open_receiver(odd: list[Reply]) -> Receiver:
    """Its answer to `/odd` is the one in `odd`, and 200 to everything else."""
    receiver = Receiver(otherwise=lambda head: odd[0] if b"/odd" in head else response())
    return await receiver.__aenter__()


async def _opened(opener: Callable[[asyncio.AbstractEventLoop], Transport]) -> Transport:
    return opener(asyncio.get_running_loop())


async def _attempt(transport: Transport, origin: str, limit: float = _TIMEOUT) -> AttemptResult:
    odd = Attempt(transport, get(f"{origin}/odd", timeout=limit))
    answer = await odd.answer()
    _check(answer)
    after = Attempt(transport, get(f"{origin}/after"))
    assert (await after.answer()).status == HTTPStatus.OK
    assert len(odd.answers) == len(after.answers) == 1
    return answer
