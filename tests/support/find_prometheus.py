"""The Prometheus and promtool that tests use; without them the run fails."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from support.project import ROOT

VARIABLE = "HOOKSTREAM_TEST_PROMETHEUS"
PACKAGE = "prometheus"
FETCHED = ROOT / ".cache" / "prometheus"
"""Debian's package, unpacked: an installed one would also run as a service."""
_FETCH_SECONDS = 120.0


class NoPrometheusError(Exception):
    """No Prometheus to test with; the sentence says how to get one."""


@dataclass(frozen=True, slots=True)
class Prometheus:
    """The two programs."""

    server: Path
    promtool: Path


def choose(
    given: str, which: Callable[[str], str | None], fetch: Callable[[], Path | None]
) -> Prometheus:
    """Those in the folder that the variable names, else those on the PATH, else those in the folder
    that `fetch` returns, which is None if it cannot be done.

    Raises:
        NoPrometheusError: there are none.
    """
    if given:
        return Prometheus(Path(given) / "prometheus", Path(given) / "promtool")
    server, promtool = which("prometheus"), which("promtool")
    if server is not None and promtool is not None:
        return Prometheus(Path(server), Path(promtool))
    folder = fetch()
    if folder is None:
        raise NoPrometheusError(
            "These tests need prometheus and promtool, and they are not on the PATH. Do one of "
            f"three things: run `make prometheus` on Debian, which unpacks its package {PACKAGE} "
            f"in .cache; install Prometheus yourself; or set {VARIABLE}=/path/to/its/folder."
        )
    return Prometheus(folder / "prometheus", folder / "promtool")


def fetch() -> Path | None:
    """The programs of Debian's package, unpacked in .cache; None where there is no such package."""
    programs = FETCHED / "usr" / "bin"
    if (programs / "promtool").exists():
        return programs
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        return None
    FETCHED.parent.mkdir(exist_ok=True)
    with TemporaryDirectory(dir=FETCHED.parent) as folder:
        # As root apt reads as a user of its own, who may not write here, and says so.
        command = ["apt-get", "-o", "APT::Sandbox::User=root", "--quiet", "download", PACKAGE]
        try:
            subprocess.run(
                command, cwd=folder, check=True, capture_output=True, timeout=_FETCH_SECONDS
            )
            (package,) = Path(folder).glob("*.deb")
            subprocess.run(["dpkg-deb", "--extract", package, f"{folder}/all"], check=True)
        except (subprocess.SubprocessError, ValueError):
            return None
        try:
            (Path(folder) / "all").rename(FETCHED)
        except OSError:  # another process was faster
            if not (programs / "promtool").exists():
                raise
    return programs


def find_prometheus() -> Prometheus:
    """The programs on this machine. Raises `NoPrometheusError`."""
    return choose(os.environ.get(VARIABLE, ""), shutil.which, fetch)


def main() -> None:
    """Say which programs the tests use; fetch Debian's if there are none and it can be done."""
    try:
        found = find_prometheus()
    except NoPrometheusError as error:
        sys.exit(str(error))
    sys.stdout.write(f"prometheus: {found.server}\n")


if __name__ == "__main__":
    main()
