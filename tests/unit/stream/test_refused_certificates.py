"""A client certificate for Kafka that has expired, or that a server refuses, is logged."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme
import uvloop

from consumer.settings import KafkaSettings
from consumer.stream.bootstrap import BootstrapError
from consumer.stream.connections import FAILURES, connect
from consumer.stream.kafka_errors import unreachable
from consumer.stream.tls import TlsFiles, tls_files
from support.fakes import FakeClock
from support.secure_broker import replace

HOST = "127.0.0.1"
AUTHORITY = trustme.CA()
BEGIN = datetime(2020, 1, 1, tzinfo=UTC)
EXPIRED = datetime(2021, 5, 6, 7, 8, 9, tzinfo=UTC)
FUTURE = datetime(2060, 1, 1, tzinfo=UTC)
PATIENCE = 10.0
EVENT = "the client certificate for Kafka cannot be used"


class Files:
    """An authority's certificate, ours, and our key."""

    def __init__(self, folder: Path) -> None:
        self.ca, self.certificate, self.key = folder / "ca", folder / "own", folder / "key"
        replace(str(self.ca), AUTHORITY.cert_pem.bytes())
        self.certify(AUTHORITY, until=FUTURE)
        self.tls = TlsFiles(self.ca, self.certificate, self.key)

    def certify(self, authority: trustme.CA, *, until: datetime) -> None:
        """Put a certificate with its key in the place of the last one."""
        own = authority.issue_cert("us.test", not_before=BEGIN, not_after=until)
        replace(str(self.key), own.private_key_pem.bytes())
        replace(str(self.certificate), own.cert_chain_pems[0].bytes())


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Good ones."""
    return Files(tmp_path)


def _serve(listener: socket.socket) -> None:
    """Ask each client for a certificate, and refuse it by an alert, which it has time to read."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert(HOST).configure_cert(context)
    AUTHORITY.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return  # closed
        connection.settimeout(PATIENCE)
        tls = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        with suppress(OSError):
            tls.do_handshake()
        with socket.socket(fileno=tls.detach()) as plain, suppress(OSError):
            plain.settimeout(PATIENCE)
            plain.shutdown(socket.SHUT_WR)
            while plain.recv(1024):
                pass  # closed with bytes unread, the connection would be reset and the alert lost


@asynccontextmanager
async def _server() -> AsyncIterator[int]:
    """The port of a server that asks for a client certificate."""
    listener = socket.create_server((HOST, 0))
    serving = asyncio.create_task(asyncio.to_thread(_serve, listener))
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        await serving


async def _dial(port: int, tls: TlsFiles) -> Exception:
    """The failure of a connection."""
    with pytest.raises(FAILURES) as failure:
        await connect(
            HOST,
            port,
            client_id="test",
            ssl_context=tls,
            security_protocol="SSL",
            max_idle_ms=None,
            sasl_mechanism="PLAIN",
            sasl_plain_username=None,
            sasl_plain_password=None,
        )
    error: Exception = failure.value
    return error


def _told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The error lines about the certificate."""
    return [
        str(vars(record)["fields"]["problem"])
        for record in caplog.records
        if record.levelname == "ERROR" and record.getMessage() == EVENT
    ]


def _on_uvloop(test: Callable[[], Awaitable[None]]) -> None:
    """Run it as the daemon would: asyncio's own loop may lose the alert behind a reset."""

    async def run() -> None:
        await test()

    uvloop.run(run())


def test_an_expired_certificate_is_an_error_line_once(
    files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    """A connection that is made with an expired client certificate is an error line that names the
    file and the time since when, once for each certificate, however often a broker is dialled.
    """

    async def test() -> None:
        async with _server() as port:
            files.certify(AUTHORITY, until=EXPIRED)
            for _ in range(3):
                await _dial(port, files.tls)

    _on_uvloop(test)
    [line] = _told(caplog)
    assert str(files.certificate) in line
    assert "expired at 2021-05-06T07:08:09+00:00" in line
    caplog.clear()
    files.certify(AUTHORITY, until=EXPIRED.replace(year=2022))
    for _ in range(2):
        files.tls.current()
    [line] = _told(caplog)
    assert "2022-05-06" in line


def test_a_certificate_that_expires_while_the_daemon_runs(
    files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    """A certificate that expires while the daemon runs is logged at the first connection after its
    time, and not before.
    """
    clock = FakeClock()
    until = datetime.fromtimestamp(clock.now() + 60, UTC)
    files.certify(AUTHORITY, until=until)
    tls = TlsFiles(files.ca, files.certificate, files.key, clock)
    tls.current()
    assert not _told(caplog)
    clock.advance(61)
    for _ in range(2):
        tls.current()
    [line] = _told(caplog)
    assert until.isoformat() in line


def test_a_certificate_that_a_server_refuses_is_an_error_line_once(
    files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    """If a broker refuses the certificate by a TLS alert, an error line names the file, the alert
    and until when the certificate is valid, once, and again for the next certificate.
    """

    async def test() -> None:
        async with _server() as port:
            for _ in range(2):
                files.certify(trustme.CA(), until=FUTURE)
                for _ in range(3):
                    await _dial(port, files.tls)

    _on_uvloop(test)
    first, second = _told(caplog)
    assert first == second
    assert str(files.certificate) in first
    assert "(unknown ca)" in first
    assert "valid until 2060-01-01" in first


def test_a_server_that_asks_for_a_certificate(
    files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    """If a server asks for a certificate and none is set, the error line names the setting."""
    tls = TlsFiles(files.ca, None, None)

    async def test() -> None:
        async with _server() as port:
            await _dial(port, tls)

    _on_uvloop(test)
    assert _told(caplog) == [
        "Kafka asks for a client certificate (certificate required): set kafka.ssl_certfile"
    ]


def test_a_refusal_of_a_certificate_that_was_renewed_meanwhile_is_not_told(
    files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    """If the files are renewed while a connection with the former certificate is being made, its
    refusal says nothing about the new one.
    """
    refusal = ssl.SSLError(1, "alert")
    refusal.reason = "TLSV1_ALERT_UNKNOWN_CA"
    former = files.tls.current()
    files.certify(AUTHORITY, until=FUTURE)
    present = files.tls.current()
    files.tls.failed(former, refusal)
    assert not _told(caplog)
    files.tls.failed(present, refusal)
    assert len(_told(caplog)) == 1


async def test_another_failure_is_not_the_certificate(
    files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    """A server that is away, or whose own certificate is not trusted, is not reported as a fault of
    the client certificate.
    """
    with socket.create_server((HOST, 0)) as listener:
        port = listener.getsockname()[1]
    await _dial(port, files.tls)
    replace(str(files.ca), trustme.CA().cert_pem.bytes())
    async with _server() as port:
        await _dial(port, files.tls)
    assert not _told(caplog)


def test_a_start_with_an_expired_certificate_ends_with_that_sentence(files: Files) -> None:
    """A start with an expired certificate ends with a sentence that names the certificate."""
    files.certify(AUTHORITY, until=EXPIRED)
    settings = KafkaSettings(
        bootstrap_servers=(f"{HOST}:1",),
        security_protocol="SSL",
        ssl_cafile=files.ca,
        ssl_certfile=files.certificate,
        ssl_keyfile=files.key,
    )
    tls = tls_files(settings)
    assert tls is not None
    tls.current()
    error = BootstrapError([(f"{HOST}:1", ConnectionResetError())])
    assert unreachable(error, settings) == (
        f"the client certificate for Kafka, {files.certificate}, has expired at "
        "2021-05-06T07:08:09+00:00: renew kafka.ssl_certfile"
    )
