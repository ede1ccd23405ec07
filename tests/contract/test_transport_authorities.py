"""The authorities of receivers' certificates may change under a running transport."""

import asyncio
import ssl
from pathlib import Path

import pytest
import trustme

from consumer.delivery.egress.guard import EgressPolicy
from consumer.delivery.http.transport import Transport
from consumer.reasons import ErrorKind
from support.attempts import Attempt, Opener, answer_of, get, trusting
from support.receiver import Receiver, Reply, response
from support.tls import server_context


@pytest.fixture
def other() -> trustme.CA:
    """An authority beside the tests' own."""
    return trustme.CA()


def write(bundle: Path, *authorities: trustme.CA) -> None:
    """Let the file hold these and no other."""
    bundle.write_bytes(b"".join(each.cert_pem.bytes() for each in authorities))


def spoil(bundle: Path, how: str) -> None:
    """Let the file hold half a certificate, or be missing."""
    bundle.write_bytes(b"-----BEGIN CERTIFICATE-----\nhalf")
    if how == "missing":
        bundle.unlink()


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> Path:
    """A file of authorities that holds the tests' own, for a test to change."""
    file = tmp_path / "bundle.pem"
    write(file, authority)
    return file


@pytest.fixture
async def changing(open_transport: Opener, bundle: Path) -> Transport:
    """An adapter that trusts whom `bundle` holds."""
    return open_transport(str(bundle))


async def test_an_added_authority_is_trusted(
    changing: Transport, bundle: Path, authority: trustme.CA, other: trustme.CA
) -> None:
    """A receiver whose authority was added to the file is reached after the renewal."""
    async with Receiver(tls=server_context(other, "127.0.0.1")) as receiver:
        assert (await answer_of(changing, get(receiver.origin + "/"))).error is ErrorKind.TLS
        write(bundle, authority, other)
        changing.trust(trusting(str(bundle)))
        assert (await answer_of(changing, get(receiver.origin + "/"))).status == 200


async def test_a_removed_authority_is_not_trusted(
    changing: Transport, bundle: Path, other: trustme.CA, server_tls: ssl.SSLContext
) -> None:
    """After the renewal neither a kept connection nor a resumed session of a receiver is used whose
    authority was taken out of the file.
    """
    async with Receiver(tls=server_tls) as receiver:
        assert (await answer_of(changing, get(receiver.origin + "/"))).status == 200
        write(bundle, other)
        changing.trust(trusting(str(bundle)))
        assert (await answer_of(changing, get(receiver.origin + "/"))).error is ErrorKind.TLS


async def test_authorities_that_are_the_same_change_nothing(
    changing: Transport, bundle: Path, server_tls: ssl.SSLContext
) -> None:
    """A renewal that finds the same authorities as before keeps the connections."""
    async with Receiver(tls=server_tls) as receiver:
        assert (await answer_of(changing, get(receiver.origin + "/"))).status == 200
        changing.trust(trusting(str(bundle)))
        assert (await answer_of(changing, get(receiver.origin + "/"))).status == 200
        assert receiver.connections == 1


@pytest.mark.parametrize("broken", ["half", "missing"])
async def test_connections_read_no_file(
    changing: Transport, bundle: Path, server_tls: ssl.SSLContext, broken: str
) -> None:
    """What is trusted is a copy in memory: a file that was broken or removed since changes nothing
    for a new connection, in a new pool either.
    """
    spoil(bundle, broken)
    async with Receiver(tls=server_tls) as receiver:
        assert (await answer_of(changing, get(receiver.origin + "/"))).status == 200
        changing.set_policy(EgressPolicy.of(allow=["127.0.0.0/8", "192.0.2.1"]))
        assert (await answer_of(changing, get(receiver.origin + "/"))).status == 200
        assert receiver.connections == 2


async def test_an_attempt_under_way_ends_as_it_began(
    changing: Transport, bundle: Path, server_tls: ssl.SSLContext, other: trustme.CA
) -> None:
    """An attempt that is under way at a renewal gets its answer over the connection that it has,
    and the next one is checked with the new authorities.
    """
    may_answer = asyncio.Event()
    reply = Reply(response().data, after=may_answer)
    async with Receiver(reply, tls=server_tls) as receiver:
        attempt = Attempt(changing, get(receiver.origin + "/"))
        await receiver.until(requests=1)
        write(bundle, other)
        changing.trust(trusting(str(bundle)))
        may_answer.set()
        assert (await attempt.answer()).status == 200
        assert (await answer_of(changing, get(receiver.origin + "/"))).error is ErrorKind.TLS


async def test_without_authorities_no_receiver_is_trusted(
    open_transport: Opener, server_tls: ssl.SSLContext
) -> None:
    """A system that has no authorities trusts no receiver, and plain HTTP goes on."""
    transport = open_transport()
    async with Receiver(tls=server_tls) as secure, Receiver() as plain:
        assert (await answer_of(transport, get(secure.origin + "/"))).error is ErrorKind.TLS
        assert (await answer_of(transport, get(plain.origin + "/"))).status == 200
