"""The lock covers what pyproject.toml asks for, every file has a hash, no host is named."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from support.project import ROOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
GROUPS: dict[str, list[Any]] = PROJECT["dependency-groups"]
RUNTIME = [
    *PROJECT["project"]["dependencies"],
    *(one for each in PROJECT["project"]["optional-dependencies"].values() for one in each),
]
LOCKS = {
    "benchmark.txt": GROUPS["benchmark"],
    "build.txt": GROUPS["build"],
    "runtime.txt": RUNTIME,
    "dev.txt": [*RUNTIME, *GROUPS["build"], *(x for x in GROUPS["dev"] if isinstance(x, str))],
}

_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^ ;\\]+)", re.MULTILINE)


def _pins(file: str) -> dict[str, str]:
    text = (ROOT / "requirements" / file).read_text()
    return {canonicalize_name(pin["name"]): pin["version"] for pin in _PIN.finditer(text)}


def _entries(file: Path) -> Iterator[str]:
    """Each requirement with its hashes on one line."""
    for line in file.read_text().replace("\\\n", " ").splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            yield line


@pytest.mark.parametrize("file", LOCKS)
def test_every_requirement_is_locked(file: str) -> None:
    """Every requirement of pyproject.toml is in the lock."""
    pins = _pins(file)
    for text in LOCKS[file]:
        wanted = Requirement(text)
        assert pins[canonicalize_name(wanted.name)] in wanted.specifier


@pytest.mark.parametrize("file", LOCKS)
def test_every_entry_is_one_pin_with_hashes(file: str) -> None:
    """Every entry of a lock is one version with hashes."""
    for entry in _entries(ROOT / "requirements" / file):
        assert re.fullmatch(r"\S+==\S+( ; [^#]+?)?( +--hash=sha256:[0-9a-f]{64})+", entry.strip())


@pytest.mark.parametrize("file", LOCKS)
def test_no_host_is_named(file: str) -> None:
    """No lock names a host to install from."""
    text = (ROOT / "requirements" / file).read_text()
    assert "://" not in text
    assert "--index-url" not in text
    assert "--find-links" not in text


def test_the_locks_agree() -> None:
    """Two locks that name a project name the same version."""
    dev = _pins("dev.txt")
    for file in ("build.txt", "runtime.txt"):
        assert _pins(file).items() <= dev.items()


def test_the_daemon_and_its_peers_run_on_the_same_versions() -> None:
    """The daemon and the programs of the benchmark run on the same versions of common libraries."""
    dev, peers = _pins("dev.txt"), _pins("benchmark.txt")
    assert {name: peers[name] for name in peers.keys() & dev.keys()}.items() <= dev.items()
    assert {"aiohttp", "aiokafka", "pycurl"} <= peers.keys() & dev.keys()
