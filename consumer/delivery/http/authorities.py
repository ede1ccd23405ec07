"""The certificate authorities that receivers are checked with: a copy in memory of what their
files held when they were read, at the start or in a reload.
"""

import fcntl
import os
import re
import ssl
import weakref
from collections.abc import Sequence
from pathlib import Path

from consumer.documents.files import files
from consumer.errors import ConfigError, Diagnostic, HookstreamError
from consumer.settings import environment

_HASHED = re.compile(r"[0-9a-f]{8}\.\d+")
"""Names that OpenSSL looks for in a folder of authorities: hashes of their subjects."""

_SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL

_OWN_MEND = "write the authorities into it, in PEM"
_SYSTEM_MEND = (
    "correct the system's authorities (ca-certificates, SSL_CERT_FILE, SSL_CERT_DIR), "
    "or name others in network.ca_file"
)


class Authorities:
    """Certificates in PEM, in an anonymous file in memory that cannot be changed any more.

    It is a copy, so that no connection reads what is on disk by then. It is a file, because libcurl
    copies memory (CURLOPT_CAINFO_BLOB) to each connection and parses it there: with 220 kB a new
    connection cost 12.8 ms of CPU and 1.1 MB, and with a file, which is parsed once for all
    connections of a pool, 2.3 ms and 0.08 MB.
    """

    def __init__(self, pem: bytes) -> None:
        """An empty `pem` makes one that trusts no receiver.

        Raises:
            ssl.SSLError: `pem` holds no certificate, or one that is not whole.
        """
        fd = os.memfd_create("authorities", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        weakref.finalize(self, os.close, fd)
        with open(fd, "wb", closefd=False) as file:
            file.write(pem)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
        self.pem = pem
        self.path = f"/proc/self/fd/{fd}"
        """Leads to the file for as long as this object lives."""
        self.context = (
            ssl.create_default_context(cafile=self.path)
            if pem
            else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        )
        """TLS for clients that trust these."""


def read_authorities(ca_file: Path | None) -> Authorities:
    """Read the certificates in `ca_file`, or without one those of the system, where OpenSSL looks
    for them; a system may have none.

    Raises:
        ConfigError: a file cannot be read, or holds no certificate that can.
    """
    if ca_file is not None:
        return _read(ca_file, field="network.ca_file", hint=_OWN_MEND)
    system, environ = ssl.get_default_verify_paths(), environment()
    named = environ.get(system.openssl_cafile_env) or system.cafile
    found = [_read(Path(named))] if named else []
    folders = environ.get(system.openssl_capath_env, system.openssl_capath)
    for folder in folders.split(os.pathsep):
        for file in _hashed(Path(folder)):
            read = _read(file, known=found)
            if read not in found:
                found.append(read)
    return found[0] if len(found) == 1 else Authorities(b"".join(each.pem for each in found))


def refuse_loss(before: Authorities, after: Authorities) -> None:
    """Raise `HookstreamError` if there were authorities and now there are none."""
    if before.pem and not after.pem:
        raise HookstreamError(f"the system has no certificate authorities any more: {_SYSTEM_MEND}")


def _read(
    file: Path, *, known: Sequence[Authorities] = (), field: str = "", hint: str = _SYSTEM_MEND
) -> Authorities:
    """Those that the file holds; the one of `known` that has them all, if there is one."""
    try:
        pem = Path(files().watch(file)).read_bytes().strip() + b"\n"
        return next((each for each in known if pem in each.pem), None) or Authorities(pem)
    except OSError as error:
        broken = isinstance(error, ssl.SSLError)
        what = "holds no certificate that can be read" if broken else f"cannot be read ({error})"
        raise ConfigError([Diagnostic(what, hint, file=str(file), field=field)]) from error


def _hashed(folder: Path) -> list[Path]:
    """The files in a folder of authorities that OpenSSL would look at."""
    try:
        names = files().names(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        problem = Diagnostic(f"cannot be read ({error})", _SYSTEM_MEND, file=str(folder))
        raise ConfigError([problem]) from error
    return [folder / name for name in names if _HASHED.fullmatch(name) and (folder / name).exists()]
