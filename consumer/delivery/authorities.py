"""The authorities that receivers' certificates are checked with, as their files hold them now."""

import hashlib
import ssl
from pathlib import Path

from consumer.errors import HookstreamError


def authorities_digest(ca_file: Path | str | None) -> bytes:
    """Tells one state of the trusted authorities from another: of `ca_file`, or without one of the
    system's file and folder.

    Raises `HookstreamError` if they cannot be used.
    """
    digest = hashlib.sha256()
    try:
        ssl.create_default_context(cafile=ca_file)
        for file in _files(ca_file):
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
    except OSError as error:  # ssl.SSLError is one
        raise HookstreamError(
            f"the certificate authorities for receivers cannot be read ({error}): "
            "correct the file of network.ca_file, or the system's"
        ) from error
    return digest.digest()


def _files(ca_file: Path | str | None) -> list[Path]:
    if ca_file is not None:
        return [Path(ca_file)]
    system = ssl.get_default_verify_paths()
    files = [Path(system.cafile)] if system.cafile else []
    if system.capath:
        files += sorted(file for file in Path(system.capath).glob("*.[0-9]") if file.is_file())
    return files
