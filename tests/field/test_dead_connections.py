"""Receivers whose kept connections die without a FIN, as behind a NAT that forgets them."""

import ssl
from pathlib import Path

import pytest
import trustme

from support.daemon import Daemon
from support.forwarder import Forwarder
from support.http2 import Http2Receiver
from support.received import ids
from support.receiver import Receiver
from support.tls import server_context
from support.waiting import wait_until
from support.workspace import Workspace, event, hook

SECOND = "1s"
"""The hook's time-out."""
TIMED_OUT = 'hookstream_attempts_total{hook="a",status="timeout"}'


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Of the receivers' certificates."""
    return trustme.CA()


@pytest.fixture
def tls(authority: trustme.CA) -> ssl.SSLContext:
    """What the receivers show."""
    return server_context(authority, "127.0.0.1")


async def start_delivering(
    workspace: Workspace, authority: trustme.CA, origin: str, transport: str
) -> None:
    """Write the settings of a daemon with one hook to `origin`."""
    await workspace.create_topics(partitions=1)
    ca_file: Path = workspace.folder / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    network = {"ca_file": str(ca_file), "allow": ["127.0.0.0/8"]}
    workspace.write_settings(network=network, delivery={"transport": transport})
    workspace.write_hooks(hook("a", origin, timeout=SECOND))


async def produce(workspace: Workspace, *names: str) -> None:
    """Events of these ids."""
    topic = workspace.topic("event")
    await workspace.cluster.produce(topic, [event(name) for name in names])


async def test_http2_connection_that_is_dead(
    workspace: Workspace, authority: trustme.CA, tls: ssl.SSLContext
) -> None:
    """After a time-out on an HTTP/2 connection that moves no bytes any more, the next attempt to
    that host begins on a new one: all events are delivered within seconds.
    """
    async with (
        Http2Receiver(tls) as receiver,
        Forwarder(receiver.origin.removeprefix("https://")) as way,
    ):
        await start_delivering(workspace, authority, f"https://{way.address}", "curl")
        async with Daemon(workspace.config) as daemon:
            await produce(workspace, "before")
            await wait_until(lambda: receiver.requests, "the first delivery")
            way.stall()
            await produce(workspace, *(f"e{number}" for number in range(5)))
            await wait_until(workspace.caught_up, "the others to be settled")
            arrived = {dict(fields)[b"webhook-id"].decode() for fields in receiver.requests}
            assert arrived == {"before:a", *(f"e{number}:a" for number in range(5))}
            assert way.connections > 1
            assert daemon.complaints == []


@pytest.mark.parametrize("transport", ["curl", "aiohttp"])
async def test_http1_connections_that_are_dead(
    workspace: Workspace, authority: trustme.CA, tls: ssl.SSLContext, transport: str
) -> None:
    """After one time-out on HTTP/1.1 no kept connection to that host is used again, and each event
    arrives once.
    """
    async with Receiver(tls=tls) as receiver, Forwarder(receiver.authority) as way:
        await start_delivering(workspace, authority, f"https://{way.address}", transport)
        async with Daemon(workspace.config) as daemon:
            first = [f"a{number}" for number in range(10)]
            await produce(workspace, *first)
            await wait_until(workspace.caught_up, "the first to be settled")
            assert way.connections > 1
            way.stall()
            await produce(workspace, "dead")
            await wait_until(lambda: daemon.sample(TIMED_OUT), "a time-out")
            behind = [f"b{number}" for number in range(10)]
            await produce(workspace, *behind)
            await wait_until(workspace.caught_up, "all to be settled")
            assert await daemon.sample(TIMED_OUT) == 1
            expected = {f"{name}:a" for name in (*first, "dead", *behind)}
            assert ids(receiver.requests) == dict.fromkeys(expected, 1)
            assert daemon.complaints == []
