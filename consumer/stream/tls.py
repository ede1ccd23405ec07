"""TLS contexts for connections to Kafka, from the present certificate, key and CA files."""

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
"""TLS alerts by which a server refuses a client's certificate (RFC 8446, section 6.2), with their
names after `ALERT_` in Python's ssl."""


class TlsFiles:
    """The TLS files of one client configuration, reloaded before a connection if they have changed.

    Each reload makes a new context: authorities cannot be removed from an existing one.
    """

    def __init__(
        self,
        ca_file: Path | None,
        certificate: Path | None,
        key: Path | None,
        clock: Clock | None = None,
    ) -> None:
        """`ca_file`: None for the system's authorities; `key`: None if it is in `certificate`."""
        self._clock = clock or SystemClock()
        self._ca_file = ca_file
        self._certificate = certificate
        self._key = key
        self._stamp: object = None
        self._context: ssl.SSLContext | None = None
        self._error: OSError | None = None
        """Why the present files cannot be used; `ssl.SSLError` is an OSError."""
        self._not_after: float | None = None
        self._logged: set[str] = set()
        """Logged problems of the certificate in use."""

    def current(self) -> ssl.SSLContext:
        """The context for the next connection. While the files cannot be used, such as a
        certificate whose key is not yet written, the last usable ones stay in use.

        Raises:
            OSError: no usable files were ever read.
        """
        self._refresh()
        if self._context is None:
            assert self._error is not None  # noqa: S101  # set if there is no context
            raise self._error
        if self._expired:
            self._log_once(self._expiry())
        return self._context

    def failed(self, context: ssl.SSLContext, error: Exception) -> None:
        """Note a failed connection with `context`: log a refused certificate once, not for each
        attempt. A context that was replaced since tells nothing about the certificate in use.
        """
        problem = self.certificate_problem(error)
        if problem is not None and context is self._context:
            self._log_once(problem)

    def certificate_problem(self, error: Exception) -> str | None:
        """Message about a client certificate that has expired, or that a server refused with
        `error`; None if it is not known to be faulty.
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

    def reload(self) -> None:
        """Read changed files. Raises `HookstreamError` if they cannot be used."""
        self._refresh()
        if self._error is not None:
            raise HookstreamError(
                f"the TLS files of Kafka cannot be used ({self._error}): replace "
                "kafka.ssl_cafile, kafka.ssl_certfile and kafka.ssl_keyfile"
            ) from self._error

    def not_after(self) -> float | None:
        """Expiry of the certificate in epoch seconds; None if there is none."""
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

    def _log_once(self, problem: str) -> None:
        if problem not in self._logged:
            self._logged.add(problem)
            log.error("the client certificate for Kafka cannot be used", problem=problem)

    def _refresh(self) -> None:
        stamp = tuple(_stamp(path) for path in self._paths())
        if stamp == self._stamp:
            return
        # Stored before reading: a write during the read causes another one.
        first, self._stamp = self._context is None, stamp
        try:
            self._read()
        except OSError as error:
            self._error = error
            if not first:
                log.warning(
                    "TLS files of Kafka cannot be used; the last ones stay in use", error=str(error)
                )
        else:
            self._error = None
            if not first:
                log.info("TLS files of Kafka reloaded", certificate_not_after=self._until())

    def _read(self) -> None:
        context, until = ssl.create_default_context(cafile=self._ca_file), None
        if self._certificate is not None:
            context.load_cert_chain(self._certificate, self._key)
            until = not_after(self._certificate.read_bytes())
        self._context, self._not_after = context, until
        self._logged.clear()

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
    """The text of a client certificate alert in `error` or its cause, such as "certificate
    expired"; None if there is none. With TLS 1.3 the alert follows the handshake.
    """
    for found in (error, error.__cause__):
        if isinstance(found, ssl.SSLError):
            _, is_alert, name = (found.reason or "").partition("ALERT_")
            if is_alert and name in _CERTIFICATE_ALERTS:
                return name.replace("_", " ").lower()
    return None


def _stamp(path: str | Path) -> tuple[int, ...]:
    """A value that changes when a file is written or replaced."""
    try:
        found = Path(path).stat()
    except OSError:
        return ()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


_shared = cache(TlsFiles)


def tls_files(settings: KafkaSettings) -> TlsFiles | None:
    """The `TlsFiles` of these settings, one object for all clients; None without TLS."""
    if not settings.security_protocol.endswith("SSL"):
        return None
    return _shared(settings.ssl_cafile, settings.ssl_certfile, settings.ssl_keyfile)
