"""The authorities of receivers' certificates may change under a running transport."""

import ssl
from pathlib import Path

import pytest
import trustme

from consumer.delivery.transport import Transport
from consumer.reasons import ErrorKind
from support.attempts import Opener, answer_of, get
from support.receiver import Receiver
from support.tls import server_context


@pytest.fixture
def other() -> trustme.CA:
    """An authority beside the tests' own."""
    return trustme.CA()


def write(bundle: Path, *authorities: trustme.CA) -> None:
    """Let the file hold these and no other."""
    bundle.write_bytes(b"".join(each.cert_pem.bytes() for each in authorities))


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
        changing.renew_trust()
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
        changing.renew_trust()
        assert (await answer_of(changing, get(receiver.origin + "/"))).error is ErrorKind.TLS
