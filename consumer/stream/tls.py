"""The certificate, key and authorities for connections to Kafka, as their files are now."""

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from consumer.clock import Clock, SystemClock
from consumer.errors import HookstreamError
from consumer.logs import get_logger
from consumer.settings import KafkaSettings
from consumer.stream.certificates import not_after

log = get_logger(__name__)

_CERTIFICATE_ALERTS = {
    "ACCESS_DENIED",
    "BAD_CERTIFICATE",
    "CERTIFICATE_EXPIRED",
    "CERTIFICATE_REQUIRED",
    "CERTIFICATE_REVOKED",
    "CERTIFICATE_UNKNOWN",
    "UNKNOWN_CA",
    "UNSUPPORTED_CERTIFICATE",
}
"""TLS alerts by which a server refuses a client's certificate (RFC 8446, section 6.2), as they are
named behind `ALERT_` in Python's ssl."""


class TlsFiles:
    """Looks at the files before each connection, and reads them again if they have changed.

    A new context each time: one that exists can be given authorities, but none can be taken away.
    """

    def __init__(
        self,
        ca_file: Path | None,
        certificate: Path | None,
        key: Path | None,
        clock: Clock | None = None,
    ) -> None:
        """`ca_file`: None for the system's authorities. `key`: None if it is in `certificate`."""
        self._clock = clock or SystemClock()
        self._ca_file = ca_file
        self._certificate = certificate
        self._key = key
        self._stamp: object = None
        self._context: ssl.SSLContext | None = None
        self._error: OSError | None = None
        """Why the files as they are now cannot be used; `ssl.SSLError` is one."""
        self._not_after: float | None = None
        self._told: set[str] = set()
        """Problems of the certificate in use that the log has."""

    def current(self) -> ssl.SSLContext:
        """For the next connection. Files that cannot be used, such as a certificate whose key is
        not written yet, leave the last ones in use.

        Raises:
            OSError: they could never be used.
        """
        self._refresh()
        if self._context is None:
            assert self._error is not None  # noqa: S101  # one of the two is there
            raise self._error
        if self._expired:
            self._tell(self._expiry())
        return self._context

    def failed(self, context: ssl.SSLContext, error: Exception) -> None:
        """Take note of why a connection with `context` failed: a certificate that the server
        refuses is an error line, once, and not a line for each attempt. A context that was renewed
        since tells nothing about the certificate in use.
        """
        problem = self.certificate_problem(error)
        if problem is not None and context is self._context:
            self._tell(problem)

    def certificate_problem(self, error: Exception) -> str | None:
        """A sentence about our certificate: that it has expired by its own time, or that a server
        refused it, which `error` tells. None if nothing is known to be wrong with it.
        """
        if self._expired:
            return self._expiry()
        alert = _certificate_alert(error)
        if alert is None:
            return None
        if self._certificate is None:
            return f"Kafka asks for a client certificate ({alert}): set kafka.ssl_certfile"
        until = f", which is valid until {self._until()}" if self._until() else ""
        return (
            f"Kafka refuses the client certificate {self._certificate}{until} ({alert}): "
            "renew kafka.ssl_certfile, or have the brokers trust it"
        )

    def renew(self) -> None:
        """Read what has changed. Raises `HookstreamError` if it cannot be used."""
        self._refresh()
        if self._error is not None:
            raise HookstreamError(
                f"the TLS files of Kafka cannot be used ({self._error}): write kafka.ssl_cafile, "
                "kafka.ssl_certfile and kafka.ssl_keyfile anew"
            ) from self._error

    def not_after(self) -> float | None:
        """Epoch seconds until which the certificate is valid; None if there is none."""
        self._refresh()
        return self._not_after

    @property
    def _expired(self) -> bool:
        return self._not_after is not None and self._not_after < self._clock.now()

    def _expiry(self) -> str:
        return (
            f"the client certificate for Kafka, {self._certificate}, has expired at "
            f"{self._until()}: renew kafka.ssl_certfile"
        )

    def _tell(self, problem: str) -> None:
        if problem not in self._told:
            self._told.add(problem)
            log.error("the client certificate for Kafka cannot be used", problem=problem)

    def _refresh(self) -> None:
        stamp = tuple(_stamp(path) for path in self._paths())
        if stamp == self._stamp:
            return
        # Noted before they are read: what is written meanwhile is read the next time.
        first, self._stamp = self._context is None, stamp
        try:
            self._read()
        except OSError as error:
            self._error = error
            if not first:
                log.warning(
                    "TLS files of Kafka cannot be used; the last ones stay", error=str(error)
                )
        else:
            self._error = None
            if not first:
                log.info("TLS files of Kafka read again", certificate_not_after=self._until())

    def _read(self) -> None:
        context, until = ssl.create_default_context(cafile=self._ca_file), None
        if self._certificate is not None:
            context.load_cert_chain(self._certificate, self._key)
            until = not_after(self._certificate.read_bytes())
        self._context, self._not_after = context, until
        self._told.clear()

    def _until(self) -> str | None:
        if self._not_after is None:
            return None
        return datetime.fromtimestamp(self._not_after, UTC).isoformat()

    def _paths(self) -> Iterator[str | Path]:
        if self._ca_file is not None:
            yield self._ca_file
        else:
            system = ssl.get_default_verify_paths()
            yield from (path for path in (system.cafile, system.capath) if path)
        yield from (path for path in (self._certificate, self._key) if path)


def _certificate_alert(error: BaseException) -> str | None:
    """The alert in words, such as "certificate expired", if `error` or its cause is one about the
    certificate of the client: with TLS 1.3 it comes behind the handshake.
    """
    for found in (error, error.__cause__):
        if isinstance(found, ssl.SSLError):
            _, is_alert, name = (found.reason or "").partition("ALERT_")
            if is_alert and name in _CERTIFICATE_ALERTS:
                return name.replace("_", " ").lower()
    return None


def _stamp(path: str | Path) -> tuple[int, ...]:
    """What changes when a file is written, or another one comes in its place."""
    try:
        found = Path(path).stat()
    except OSError:
        return ()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


_shared = cache(TlsFiles)


def tls_files(settings: KafkaSettings) -> TlsFiles | None:
    """The same object for the same files, so that all clients use the same; None without TLS."""
    if not settings.security_protocol.endswith("SSL"):
        return None
    return _shared(settings.ssl_cafile, settings.ssl_certfile, settings.ssl_keyfile)
