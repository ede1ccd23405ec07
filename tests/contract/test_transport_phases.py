"""The phases of an attempt by libcurl, against a receiver with TLS."""

import asyncio
import ssl
from collections.abc import AsyncIterator

import pytest

from consumer.delivery.http.curl import CurlTransport
from support.attempts import LOOPBACK, answer_of, get, trusting
from support.receiver import Receiver


@pytest.fixture
async def curl(ca_file: str) -> AsyncIterator[CurlTransport]:
    """A transport whose attempts are all measured."""
    transport = CurlTransport(asyncio.get_running_loop(), LOOPBACK, trusting(ca_file))
    transport.measure(lambda _status: True)
    yield transport
    await transport.close()


async def test_phases_follow_each_other(curl: CurlTransport, server_tls: ssl.SSLContext) -> None:
    """The first attempt on a connection tells when it was connected, when TLS stood and when the
    answer began, in this order and within its time; the next one on it tells only the answer.
    """
    async with Receiver(tls=server_tls) as receiver:
        origin = receiver.origin
        first = await answer_of(curl, get(f"{origin}/"))
        second = await answer_of(curl, get(f"{origin}/"))
    assert first.phases is not None
    _, connect, tls, first_byte = first.phases
    assert 0 < connect < tls < first_byte <= first.duration * 1_000_000
    assert second.phases is not None
    assert second.phases[:3] == (0, 0, 0)
    assert 0 < second.phases[3] <= second.duration * 1_000_000


async def test_a_lookup_is_a_phase(curl: CurlTransport) -> None:
    """The time of a host's lookup is the first phase, and later phases include it."""
    async with Receiver() as receiver:
        answer = await answer_of(curl, get(receiver.origin.replace("127.0.0.1", "localhost") + "/"))
    assert answer.phases is not None
    dns, connect, tls, first_byte = answer.phases
    assert 0 < dns < connect < first_byte <= answer.duration * 1_000_000 + 1
    assert tls == 0


async def test_a_failed_attempt_has_phases(curl: CurlTransport) -> None:
    """An attempt that was refused has no phase after the connection that it did not get."""
    async with Receiver() as receiver:
        origin = receiver.origin
    answer = await answer_of(curl, get(f"{origin}/"))
    assert answer.error is not None
    assert answer.phases is not None
    assert answer.phases[1:] == (0, 0, 0)
