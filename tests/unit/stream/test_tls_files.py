"""TLS files for Kafka: what is in use is what the files held when they were last usable."""

import asyncio
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from consumer.errors import HookstreamError
from consumer.settings import KafkaSettings
from consumer.stream.certificates import not_after
from consumer.stream.tls import TlsFiles, tls_files
from support.secure_broker import replace
from support.tls import server_context

HOST = "broker.test"
AUTHORITY = trustme.CA()


class Files:
    """An authority's certificate, ours, and our key."""

    def __init__(self, folder: Path) -> None:
        self.ca, self.certificate, self.key = folder / "ca", folder / "own", folder / "key"
        self.trust(AUTHORITY)
        self.certify(AUTHORITY)
        self.tls = TlsFiles(self.ca, self.certificate, self.key)

    def trust(self, authority: trustme.CA) -> None:
        """Only this one."""
        replace(str(self.ca), authority.cert_pem.bytes())

    def certify(self, authority: trustme.CA, *, until: datetime | None = None) -> None:
        """Put a certificate with its key in the place of the last one."""
        own = authority.issue_cert("us.test", not_after=until)
        replace(str(self.key), own.private_key_pem.bytes())
        replace(str(self.certificate), own.cert_chain_pems[0].bytes())

    async def accepts(self, authority: trustme.CA) -> bool:
        """Whether a connection made now trusts a server with a certificate of the authority."""
        server = await asyncio.start_server(
            lambda _, writer: writer.close(), "127.0.0.1", ssl=server_context(authority, HOST)
        )
        async with server:
            port = server.sockets[0].getsockname()[1]
            try:
                _, writer = await asyncio.open_connection(
                    "127.0.0.1", port, ssl=self.tls.current(), server_hostname=HOST
                )
            except ssl.SSLCertVerificationError:
                return False
            writer.close()
            await writer.wait_closed()
            return True


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Good ones."""
    return Files(tmp_path)


async def test_the_authorities_are_those_that_the_file_holds_now(files: Files) -> None:
    """An authority that was added to the file is trusted by the next connection, and one that was
    removed is not.
    """
    other = trustme.CA()
    assert await files.accepts(AUTHORITY)
    assert not await files.accepts(other)
    files.trust(other)
    assert await files.accepts(other)
    assert not await files.accepts(AUTHORITY)


def test_files_that_did_not_change_are_read_once(files: Files) -> None:
    """Files that did not change are read once."""
    assert files.tls.current() is files.tls.current()


@pytest.mark.parametrize("broken", ["key of another", "half a certificate", "no authorities"])
def test_files_that_cannot_be_used_leave_the_last_ones_in_use(files: Files, broken: str) -> None:
    """Files that cannot be used leave the last ones in use, and each renewal by command says so."""
    before = files.tls.current()
    match broken:
        case "key of another":
            replace(str(files.key), AUTHORITY.issue_cert("x.test").private_key_pem.bytes())
        case "half a certificate":
            replace(str(files.certificate), files.certificate.read_bytes()[:100])
        case _:
            files.ca.unlink()
    for _ in range(2):
        with pytest.raises(HookstreamError, match=r"kafka\.ssl_keyfile"):
            files.tls.reload()
        assert files.tls.current() is before
    files.trust(AUTHORITY)
    files.certify(AUTHORITY)
    files.tls.reload()
    assert files.tls.current() is not before


def test_files_that_could_never_be_used_are_an_error(tmp_path: Path) -> None:
    """Files that were never usable are an error."""
    for _ in range(2):
        with pytest.raises(OSError, match="No such file"):
            TlsFiles(tmp_path / "missing", None, None).current()


@given(st.datetimes(datetime(2001, 1, 1), datetime(9999, 1, 1)))  # noqa: DTZ001  # made aware below
def test_until_when_a_certificate_is_valid(when: datetime) -> None:
    """The end of a certificate's validity is read to the second, in both forms of time (before
    2050, after).
    """
    until = when.replace(microsecond=0, tzinfo=UTC)
    begin = datetime(2000, 1, 1, tzinfo=UTC)
    leaf = AUTHORITY.issue_cert("us.test", not_before=begin, not_after=until)
    assert not_after(b"# ours\n" + leaf.cert_chain_pems[0].bytes()) == until.timestamp()


@given(st.binary(max_size=60))
def test_what_is_no_certificate_has_no_end(content: bytes) -> None:
    """Bytes that are no certificate have no end of validity and raise nothing."""
    assert not_after(content) is None
    assert not_after(ssl.DER_cert_to_PEM_cert(content).encode()) is None


def test_clients_of_the_same_files_share_them(files: Files) -> None:
    """Clients with the same TLS files share them, and without TLS there are none."""
    settings = KafkaSettings(security_protocol="SSL", ssl_cafile=files.ca)
    assert tls_files(settings) is tls_files(settings.model_copy())
    assert tls_files(KafkaSettings()) is None
