"""How attempts fail: as answers of a kind, in bounded time, and without telling secrets."""

import asyncio
import gc
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import trustme

from consumer.delivery.http.transport import AttemptResult, Request, Transport
from consumer.reasons import ErrorKind
from support.attempts import PATIENCE, Attempt, Opener, answer_of, get
from support.receiver import Receiver, Reply, Then, response
from support.tls import server_context

SECRET = "canary-7Yq"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver without TLS."""
    async with Receiver() as receiver:
        yield receiver


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that refuses: bound, so that no other process takes it, and not listening."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def descriptors() -> int:
    """Open file descriptors of this process."""
    return len(list(Path("/proc/self/fd").iterdir()))


def secretive(origin: str, *, timeout: float = 10, connect: float = 10) -> Request:
    """A request whose target and header are secret."""
    header = f"x-key: {SECRET}".encode()
    return get(f"{origin}/{SECRET}?key={SECRET}", header, timeout=timeout, connect=connect)


def assert_failed(answer: AttemptResult, kind: ErrorKind) -> None:
    """An error has its kind, some words for people, no status, and tells no secret."""
    assert (answer.status, answer.error, answer.retry_after) == (0, kind, None)
    assert answer.detail
    assert SECRET not in answer.detail


@pytest.mark.parametrize(
    "reply",
    [
        Reply(then=Then.HANG),
        Reply(b"HTTP/1.1 200 OK\r\nX-Slow: ", Then.DRIP),
        Reply(b"HTTP/1.1 100 Continue\r\n\r\n", Then.HANG),
    ],
    ids=["silence", "header drip", "100 and silence"],
)
async def test_timeout(transport: Transport, receiver: Receiver, reply: Reply) -> None:
    """The time-out bounds the whole attempt, so bytes that trickle in do not extend it."""
    receiver.then_play([reply])
    answer = await answer_of(transport, secretive(receiver.origin, timeout=0.2))
    assert_failed(answer, ErrorKind.TIMEOUT)
    await receiver.until(left=1)
    assert (await answer_of(transport, get(receiver.origin + "/"))).status == 200


async def test_connect_timeout(transport: Transport) -> None:
    """The connect time-out bounds dialling with its TLS handshake, for a peer that never shakes
    hands too.
    """
    with socket.create_server(("127.0.0.1", 0)) as silent:
        origin = f"https://127.0.0.1:{silent.getsockname()[1]}"
        answer = await answer_of(transport, secretive(origin, timeout=60, connect=0.2))
    assert_failed(answer, ErrorKind.TIMEOUT)


async def test_close_while_dialling(transport: Transport) -> None:
    """An attempt that is still connecting is answered by `close`."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.setblocking(False)
        origin = f"https://127.0.0.1:{silent.getsockname()[1]}"
        attempt = Attempt(transport, secretive(origin, timeout=60, connect=60))
        async with asyncio.timeout(PATIENCE):
            ours, _ = await asyncio.get_running_loop().sock_accept(silent)
            await transport.close()
        ours.close()
    assert len(attempt.answers) == 1
    assert_failed(attempt.answers[0], ErrorKind.CONNECT)


async def test_refused(transport: Transport, closed_port: int) -> None:
    """A refused connection is a connect error each time."""
    for _ in range(3):
        answer = await answer_of(transport, secretive(f"http://127.0.0.1:{closed_port}"))
        assert_failed(answer, ErrorKind.CONNECT)


async def test_refusals_between_answers(
    transport: Transport, receiver: Receiver, closed_port: int
) -> None:
    """A socket that failed leaves nothing behind for the next one with the same descriptor
    number.
    """
    receiver.then_play([response(200, "Connection: close", then=Then.CLOSE)] * 20)
    for _ in range(10):
        refused = get(f"http://127.0.0.1:{closed_port}/", timeout=2)
        assert (await answer_of(transport, refused)).error is ErrorKind.CONNECT
        attempts = [Attempt(transport, get(receiver.origin + "/", timeout=2)) for _ in range(2)]
        assert [(await attempt.answer()).status for attempt in attempts] == [200, 200]


async def test_unknown_host(transport: Transport) -> None:
    """A name that does not exist (RFC 6761 reserves `.invalid`) is a DNS error."""
    answer = await answer_of(transport, secretive("http://nonexistent.invalid"))
    assert_failed(answer, ErrorKind.DNS)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(then=Then.CLOSE),
        Reply(then=Then.RESET),
        Reply(b"HTTP/1.1 20", Then.CLOSE),
        Reply(b"HTTP/1.1 100 Continue\r\n\r\n", Then.CLOSE),
        Reply(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", Then.CLOSE),
        Reply(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nabc", Then.CLOSE),
        Reply(b"HTTP/1.1 2x0 OK\r\n\r\n", Then.CLOSE),
        Reply(b"HTTP/1.1 099 OK\r\n\r\n", Then.CLOSE),
        Reply(b"SSH-2.0-OpenSSH_9.2\r\n", Then.CLOSE),
        Reply(b"\xff\xfe\x00\x01 garbage \xc3\r\n\r\n", Then.CLOSE),
        Reply(f"{SECRET} 200 OK\r\n\r\n".encode(), Then.CLOSE),
        Reply(b"HTTP/1.1 200 OK\r\nContent-Length: \xff\r\n\r\n", Then.CLOSE),
        Reply(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", Then.CLOSE),
        Reply(b"HTTP/1.1 200 OK\r\nX: a\x00b\r\n\r\n", Then.CLOSE),
        Reply(b"HTTP/1.1 200 OK\r\n" + b"X-Big: " + b"y" * 400_000 + b"\r\n\r\n", Then.CLOSE),
        Reply(b"HTTP/1.1 200 OK\r\n" + (b"X-Big: " + b"y" * 1000 + b"\r\n") * 400 + b"\r\n"),
    ],
    ids=[
        "closed",
        "reset",
        "half a status line",
        "100 only",
        "101",
        "101 and more",
        "no number",
        "low number",
        "another protocol",
        "noise",
        "echo of a secret",
        "odd length",
        "negative length",
        "nul in a header",
        "endless header",
        "endless headers",
    ],
)
async def test_broken_head(transport: Transport, receiver: Receiver, reply: Reply) -> None:
    """An incomplete header block is a connect error, and the next attempt uses a new connection."""
    receiver.then_play([reply])
    assert_failed(await answer_of(transport, secretive(receiver.origin)), ErrorKind.CONNECT)
    assert len(receiver.requests) == 1
    assert (await answer_of(transport, get(receiver.origin + "/"))).status == 200


async def test_untrusted_certificate(open_transport: Opener, server_tls: ssl.SSLContext) -> None:
    """A certificate of an authority that is not trusted is a TLS error, and nothing is sent."""
    async with Receiver(tls=server_tls) as receiver:
        answer = await answer_of(open_transport(None), secretive(receiver.origin))
        assert_failed(answer, ErrorKind.TLS)
        assert receiver.requests == []


@pytest.mark.parametrize("name", ["other.example", "127.0.0.2"])
async def test_certificate_of_another_host(
    transport: Transport, authority: trustme.CA, name: str
) -> None:
    """A valid certificate for another name or address is a TLS error, and nothing is sent."""
    async with Receiver(tls=server_context(authority, name)) as receiver:
        answer = await answer_of(transport, secretive(receiver.origin))
        assert_failed(answer, ErrorKind.TLS)
        assert receiver.requests == []


async def test_no_tls_at_all(transport: Transport) -> None:
    """A receiver that does not speak TLS at an https URL is a TLS error."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        answer = await answer_of(transport, secretive(f"https://127.0.0.1:{port}"))
    assert_failed(answer, ErrorKind.TLS)


async def test_no_descriptor_is_left(
    open_transport: Opener, ca_file: str, server_tls: ssl.SSLContext, closed_port: int
) -> None:
    """A transport that was used in good and bad ways and closed leaves as many file descriptors as
    there were before, and the one of the authorities that it was given.
    """
    async with Receiver(tls=server_tls) as receiver:
        gc.collect()  # transports of other tests have the one of their authorities until then
        before = descriptors() + 1
        transport = open_transport(ca_file)
        attempts = [Attempt(transport, get(receiver.origin + "/")) for _ in range(10)]
        attempts += [Attempt(transport, get(f"http://127.0.0.1:{closed_port}/"))]
        attempts += [Attempt(transport, get("http://nonexistent.invalid/"))]
        for attempt in attempts:
            await attempt.answer()
        assert descriptors() > before
        await transport.close()
        async with asyncio.timeout(PATIENCE):
            while descriptors() != before:  # noqa: ASYNC110  # no event tells of closed descriptors
                await asyncio.sleep(0)
