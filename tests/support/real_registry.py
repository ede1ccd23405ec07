"""Apicurio Registry, whose runner is fetched once by Maven, as a process: a registry of another
maker with Confluent's API.

2.6 is the last line that runs on Java 17, which the tests ask for.
"""

import subprocess
import tarfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from support.broker import HOST, free_port
from support.filled_folder import filled_folder
from support.jars import MavenError, missing_tools

ARTIFACT: Final = "io.apicurio:apicurio-registry-app:2.6.13.Final:tar.gz:all"
CACHE: Final = Path(__file__).parents[2] / ".cache" / "apicurio"
_COPY: Final = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"
_START_SECONDS: Final = 90.0


def _fetch(folder: Path) -> None:
    if missing := missing_tools():
        raise MavenError(f"A registry needs Java 17 or later and Maven (not found: {missing})")
    done = subprocess.run(
        ["mvn", "-q", "-B", _COPY, f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={folder}"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        cwd=folder,
    )
    if done.returncode != 0:
        raise MavenError(f"Maven could not fetch the registry:\n{done.stdout}")
    [archive] = folder.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    archive.unlink()


@contextmanager
def real_registry(folder: Path) -> Iterator[str]:
    """The URL of a registry's API that listens; its schemas are in memory, its log in `folder`."""
    runner = next(filled_folder(CACHE, [Path(__file__)], _fetch).glob("*-runner.jar"))
    port = free_port()
    options = [f"-Dquarkus.http.port={port}", f"-Dquarkus.http.host={HOST}", "-Xmx384m"]
    with (folder / "registry.log").open("wb") as log:
        process = subprocess.Popen(
            ["java", "-XX:TieredStopAtLevel=1", *options, "-jar", str(runner)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            url = f"http://{HOST}:{port}/apis/ccompat/v7"
            _wait(url, process, folder / "registry.log")
            yield url
        finally:
            process.terminate()
            process.wait()


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{url}/subjects", timeout=2.0):  # noqa: S310  # our own
                return
        except (TimeoutError, OSError):
            time.sleep(0.2)
    raise AssertionError(log.read_text()[-2_000:])
