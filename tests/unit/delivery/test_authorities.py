"""The certificate authorities for receivers, as they are read from their files."""

import gc
import ssl
from pathlib import Path

import pytest
import trustme

from consumer.delivery.http.authorities import Authorities, read_authorities, refuse_loss
from consumer.errors import ConfigError, HookstreamError
from support.attempts import trusting

FIRST, SECOND = (trustme.CA() for _ in range(2))
HALF = FIRST.cert_pem.bytes()[:200]
SYSTEM_HINT = "or name others in network.ca_file"


class System:
    """The system's authorities: OpenSSL's file and folder."""

    def __init__(self, folder: Path, environ: pytest.MonkeyPatch) -> None:
        self.file, self.folder = folder / "bundle.pem", folder / "certs"
        self.folder.mkdir()
        environ.setenv("SSL_CERT_FILE", str(self.file))
        environ.setenv("SSL_CERT_DIR", f"{folder}/absent:{self.folder}")


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> System:
    """One whose file holds one authority."""
    system = System(tmp_path, monkeypatch)
    system.file.write_bytes(FIRST.cert_pem.bytes())
    return system


def held(authorities: Authorities) -> int:
    """The number of certificates that a connection would be checked with."""
    return len(authorities.context.get_ca_certs())


def problem(ca_file: Path | None = None) -> str:
    """Why the files are refused."""
    with pytest.raises(ConfigError) as refused:
        read_authorities(ca_file)
    [problem] = refused.value.diagnostics
    return str(problem)


def test_the_own_file_stands_in_place_of_the_systems(system: System) -> None:
    """With `network.ca_file` only the authorities in that file are trusted."""
    system.file.write_bytes(b"")
    own = system.file.with_name("own.pem")
    own.write_bytes(FIRST.cert_pem.bytes() + SECOND.cert_pem.bytes())
    assert held(read_authorities(own)) == 2


def test_the_system_has_a_file_and_a_folder(system: System) -> None:
    """The system's authorities are those of its file and those that only its folders hold, under
    the names that OpenSSL looks for.
    """
    (system.folder / "0a1b2c3d.0").write_bytes(FIRST.cert_pem.bytes())
    (system.folder / "0a1b2c3d.r0").write_bytes(HALF)
    (system.folder / "notes.txt").write_bytes(HALF)
    (system.folder / "00000000.0").symlink_to("nowhere")
    assert held(read_authorities(None)) == 1
    (system.folder / "11223344.0").write_bytes(SECOND.cert_pem.bytes())
    assert held(read_authorities(None)) == 2


def test_a_copy_is_in_memory(system: System) -> None:
    """The authorities stay whole and readable by clients if their file is broken afterwards, and
    their memory ends with the object, so that reloads use up no descriptors.
    """
    authorities = read_authorities(None)
    system.file.write_bytes(HALF)
    path = Path(authorities.path)
    assert path.read_bytes() == authorities.pem == FIRST.cert_pem.bytes().strip() + b"\n"
    with pytest.raises(PermissionError), path.open("r+b", buffering=0) as file:
        file.write(b"x")
    del authorities
    gc.collect()
    assert not path.exists()


@pytest.mark.parametrize("content", [HALF, b"", b"no PEM", FIRST.cert_pem.bytes() + HALF])
def test_a_broken_file_is_refused(system: System, content: bytes) -> None:
    """A file that holds no certificate, or one that is not whole, is refused with its name and a
    hint, be it the own one or the system's.
    """
    system.file.write_bytes(content)
    assert problem(system.file) == (
        f"{system.file}: network.ca_file: holds no certificate that can be read "
        "(write the authorities into it, in PEM)"
    )
    (system.folder / "11223344.0").write_bytes(SECOND.cert_pem.bytes())
    told = problem()
    assert told.startswith(f"{system.file}: holds no certificate that can be read (")
    assert SYSTEM_HINT in told


@pytest.mark.parametrize("gone", ["missing", "unreadable"])
def test_an_unreadable_file_is_refused(system: System, gone: str) -> None:
    """A file that cannot be read is refused with its name and a hint, be it the own one or the
    system's.
    """
    system.file.unlink()
    if gone == "unreadable":
        system.file.mkdir()  # a folder cannot be read, by the superuser either
    assert problem(system.file).startswith(f"{system.file}: network.ca_file: cannot be read (")
    told = problem()
    assert told.startswith(f"{system.file}: cannot be read (")
    assert SYSTEM_HINT in told


def test_a_broken_file_in_the_folder_is_refused(system: System) -> None:
    """A file that OpenSSL would look at in the system's folder is judged like the system's file."""
    file = system.folder / "11223344.0"
    file.write_bytes(HALF)
    assert problem().startswith(f"{file}: holds no certificate that can be read (")


def test_a_system_may_have_no_authorities(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system without authorities trusts no receiver, and plain HTTP needs none; if there were
    some before, it is an error.
    """
    monkeypatch.delenv("SSL_CERT_FILE")
    paths = ssl.get_default_verify_paths()._replace(cafile="")
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: paths)
    none = read_authorities(None)
    assert held(none) == 0
    assert none.context.verify_mode is ssl.CERT_REQUIRED
    refuse_loss(none, none)
    refuse_loss(none, trusting(str(system.file)))
    with pytest.raises(HookstreamError, match=r"no certificate authorities any more.*ca_file"):
        refuse_loss(trusting(str(system.file)), none)
