"""Connections that are dead without a FIN: after one time-out the next attempt begins on a new one.

HTTP/1.1 with both adapters, HTTP/2 with libcurl, which alone has it.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator

import pytest
import trustme

from consumer.delivery.http.curl import CurlTransport
from consumer.delivery.http.transport import Transport
from consumer.reasons import ErrorKind
from support.attempts import LOOPBACK, Attempt, answer_of, get, trusting
from support.forwarder import Forwarder
from support.http2 import Http2Receiver
from support.receiver import Receiver, Reply, Then
from support.tls import server_context
from support.waiting import wait_until

SHORT = 0.5
"""Seconds for an attempt that is to time out."""


@pytest.fixture(params=["http", "https"])
async def receiver(
    request: pytest.FixtureRequest, server_tls: ssl.SSLContext
) -> AsyncIterator[Receiver]:
    """A receiver without and with TLS."""
    async with Receiver(tls=server_tls if request.param == "https" else None) as receiver:
        yield receiver


@pytest.fixture
async def curl(ca_file: str) -> AsyncIterator[CurlTransport]:
    """The transport that has HTTP/2."""
    transport = CurlTransport(asyncio.get_running_loop(), LOOPBACK, trusting(ca_file))
    yield transport
    await transport.close()


@pytest.fixture
async def http2(authority: trustme.CA) -> AsyncIterator[Http2Receiver]:
    """A receiver that speaks HTTP/2 and nothing else."""
    async with Http2Receiver(server_context(authority, "127.0.0.1")) as receiver:
        yield receiver


async def test_after_a_time_out_the_next_attempt_has_a_new_connection(
    transport: Transport, receiver: Receiver
) -> None:
    """After a time-out on a kept connection no kept connection to that host is used again, however
    many there are.
    """
    async with Forwarder(receiver.authority) as way:
        origin = receiver.origin.replace(receiver.authority, way.address)
        attempts = [Attempt(transport, get(origin + "/")) for _ in range(5)]
        assert {(await attempt.answer()).status for attempt in attempts} == {200}
        kept = way.connections
        assert kept > 1
        for _ in range(2):
            way.stall()
            answer = await answer_of(transport, get(origin + "/", timeout=SHORT))
            assert answer.error is ErrorKind.TIMEOUT
            for _ in range(kept):
                assert (await answer_of(transport, get(origin + "/"))).status == 200
        assert way.connections == kept + 2


async def test_connections_that_are_given_up_are_told(
    transport: Transport, receiver: Receiver
) -> None:
    """Of several attempts that time out on kept connections to one host, one answer says that the
    connections were given up, and no answer of an attempt that made its connection itself does.
    """
    async with Forwarder(receiver.authority) as way:
        origin = receiver.origin.replace(receiver.authority, way.address)
        attempts = [Attempt(transport, get(origin + "/")) for _ in range(3)]
        assert [(await attempt.answer()).gave_up_connections for attempt in attempts] == [False] * 3
        way.stall()
        attempts = [Attempt(transport, get(origin + "/", timeout=SHORT)) for _ in range(3)]
        told = [(await attempt.answer()).gave_up_connections for attempt in attempts]
        assert sorted(told) == [False, False, True]
    async with Receiver(Reply(then=Then.HANG)) as hanging:
        answer = await answer_of(transport, get(hanging.origin + "/", timeout=SHORT))
        assert answer.error is ErrorKind.TIMEOUT
        assert not answer.gave_up_connections


async def test_other_hosts_keep_their_connections(transport: Transport, receiver: Receiver) -> None:
    """A time-out at one host closes no connection to another host."""
    async with Forwarder(receiver.authority) as way, Receiver() as other:
        origin = receiver.origin.replace(receiver.authority, way.address)
        for url in (origin, other.origin):
            assert (await answer_of(transport, get(url + "/"))).status == 200
        way.stall()
        await answer_of(transport, get(origin + "/", timeout=SHORT))
        assert (await answer_of(transport, get(other.origin + "/"))).status == 200
        assert other.connections == 1


async def test_dead_http2_connection(curl: CurlTransport, http2: Http2Receiver) -> None:
    """No attempt that begins after a time-out goes over the dead connection, and one connection
    stands in for it; attempts that began before end by themselves, without a further connection.
    """
    async with Forwarder(http2.origin.removeprefix("https://")) as way:
        origin = f"https://{way.address}"
        assert (await answer_of(curl, get(origin + "/"))).status == 204
        for rounds in (1, 2, 3):
            way.stall()
            before = [Attempt(curl, get(origin + "/", timeout=3 * SHORT)) for _ in range(3)]
            answer = await answer_of(curl, get(origin + "/", timeout=SHORT))
            assert answer.error is ErrorKind.TIMEOUT
            for _ in range(3):
                assert (await answer_of(curl, get(origin + "/"))).status == 204
            for attempt in before:
                assert (await attempt.answer()).error is ErrorKind.TIMEOUT
            assert (await answer_of(curl, get(origin + "/"))).status == 204
            assert way.connections == 1 + rounds


async def test_slow_stream_among_healthy_ones(curl: CurlTransport, http2: Http2Receiver) -> None:
    """An attempt that times out on an HTTP/2 connection over which others are answered costs none
    of them anything: the connection goes on.
    """
    assert (await answer_of(curl, get(http2.origin + "/"))).status == 204
    for _ in range(3):
        hanging = Attempt(curl, get(http2.origin + "/hang", timeout=SHORT))
        while not hanging.answers:
            assert (await answer_of(curl, get(http2.origin + "/"))).status == 204
        assert hanging.answers[0].error is ErrorKind.TIMEOUT
    assert (await answer_of(curl, get(http2.origin + "/"))).status == 204
    assert http2.connections == 1


async def test_slow_stream_alone(curl: CurlTransport, http2: Http2Receiver) -> None:
    """An attempt that times out while nothing else comes over the connection may have been on a
    dead one; attempts that are under way on that are left alone.
    """
    assert (await answer_of(curl, get(http2.origin + "/"))).status == 204
    slow = Attempt(curl, get(http2.origin + "/hang", timeout=10))
    await wait_until(lambda: len(http2.requests) == 2, "the slow request")
    answer = await answer_of(curl, get(http2.origin + "/hang", timeout=SHORT))
    assert answer.error is ErrorKind.TIMEOUT
    assert (await answer_of(curl, get(http2.origin + "/"))).status == 204
    assert http2.connections == 2
    assert slow.answers == []


async def test_time_outs_one_after_the_other(transport: Transport, receiver: Receiver) -> None:
    """A host that answers nothing costs no more connections than attempts."""
    async with Forwarder(receiver.authority) as way:
        origin = receiver.origin.replace(receiver.authority, way.address)
        assert (await answer_of(transport, get(origin + "/"))).status == 200
        for _ in range(3):
            way.stall()
            attempts = [Attempt(transport, get(origin + "/", timeout=SHORT)) for _ in range(4)]
            for attempt in attempts:
                await attempt.answer()
            assert (await answer_of(transport, get(origin + "/"))).status == 200
        assert way.connections <= 1 + 3 * 5
