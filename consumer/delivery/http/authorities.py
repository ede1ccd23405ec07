"""The certificate authorities that receivers are verified with: a copy in memory of their files,
read at the start and in a reload.
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

_HASHED_NAME_PATTERN = re.compile(r"[0-9a-f]{8}\.\d+")
"""The names of files that OpenSSL looks for in a folder of authorities: hashes of subjects."""

_MEMFD_SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL

_CA_FILE_HINT = "write the authorities into it, in PEM"
_SYSTEM_HINT = (
    "correct the system's authorities (ca-certificates, SSL_CERT_FILE, SSL_CERT_DIR), "
    "or name others in network.ca_file"
)


class Authorities:
    """Certificates in PEM, in a sealed anonymous file in memory.

    It is a copy, so that later changes on disk reach no connection. It is a file, because libcurl
    copies and parses bytes (CURLOPT_CAINFO_BLOB) for each connection, but a file once for all
    connections of a pool: with 220 kB a new connection cost 12.8 ms of CPU and 1.1 MB with bytes,
    2.3 ms and 0.08 MB with a file.
    """

    def __init__(self, pem: bytes) -> None:
        """Copy `pem`; if it is empty, no receiver is trusted.

        Raises:
            ssl.SSLError: `pem` holds no certificate, or an incomplete one.
        """
        fd = os.memfd_create("authorities", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        weakref.finalize(self, os.close, fd)
        with open(fd, "wb", closefd=False) as file:
            file.write(pem)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _MEMFD_SEALS)
        self.pem = pem
        self.path = f"/proc/self/fd/{fd}"
        """The path of the file, valid for as long as this object lives."""
        self.context = (
            ssl.create_default_context(cafile=self.path)
            if pem
            else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        )
        """TLS for clients that trust these authorities."""


def read_authorities(ca_file: Path | None, before: Authorities | None = None) -> Authorities:
    """Read the certificates in `ca_file`, or the system's where OpenSSL looks for them, if any.
    Returns `before` if they are the same: to parse the system's takes longer than to read them.

    Raises:
        ConfigError: a file cannot be read, or holds no readable certificate.
    """
    if ca_file is not None:
        return _read(ca_file, before, field="network.ca_file", hint=_CA_FILE_HINT)
    system, environ = ssl.get_default_verify_paths(), environment()
    named = environ.get(system.openssl_cafile_env) or system.cafile
    found = [_read(Path(named), before)] if named else []
    folders = environ.get(system.openssl_capath_env, system.openssl_capath)
    for folder in folders.split(os.pathsep):
        for file in _hashed(Path(folder)):
            read = _read(file, before, known=found)
            if read not in found:
                found.append(read)
    if len(found) == 1:
        return found[0]
    pem = b"".join(each.pem for each in found)
    return before if before is not None and before.pem == pem else Authorities(pem)


def refuse_loss(before: Authorities, after: Authorities) -> None:
    """Raise `HookstreamError` if `before` has authorities and `after` has none."""
    if before.pem and not after.pem:
        raise HookstreamError(f"the system has no certificate authorities any more: {_SYSTEM_HINT}")


def _read(
    file: Path,
    before: Authorities | None,
    *,
    known: Sequence[Authorities] = (),
    field: str = "",
    hint: str = _SYSTEM_HINT,
) -> Authorities:
    """The authorities in `file`: `before` if it is the same, or the member of `known` that contains
    them, if there is one.
    """
    try:
        pem = Path(files().watch(file)).read_bytes().strip() + b"\n"
        if before is not None and before.pem == pem:
            return before
        return next((each for each in known if pem in each.pem), None) or Authorities(pem)
    except OSError as error:
        broken = isinstance(error, ssl.SSLError)
        what = "holds no certificate that can be read" if broken else f"cannot be read ({error})"
        raise ConfigError([Diagnostic(what, hint, file=str(file), field=field)]) from error


def _hashed(folder: Path) -> list[Path]:
    """The files in a folder of authorities that OpenSSL would read."""
    try:
        names = files().names(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        problem = Diagnostic(f"cannot be read ({error})", _SYSTEM_HINT, file=str(folder))
        raise ConfigError([problem]) from error
    return [
        folder / name
        for name in names
        if _HASHED_NAME_PATTERN.fullmatch(name) and (folder / name).exists()
    ]
