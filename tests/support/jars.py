"""Apache Kafka's own jars, fetched once by Maven and kept for every later run."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

POM = Path(__file__).parent / "kafka" / "pom.xml"
CACHE = Path(__file__).parents[2] / ".cache" / "kafka"

Fetch = Callable[[Path], None]


class MavenError(Exception):
    """The jars could not be fetched; says what to install, or carries Maven's own words."""


def missing_tools() -> Sequence[str]:
    """Programs that a broker from jars needs and that are not on the PATH."""
    return [tool for tool in ("java", "mvn") if shutil.which(tool) is None]


def fetch_with_maven(folder: Path) -> None:
    """Copy the jars that `kafka/pom.xml` names, and what they need, into `folder`.

    Raises:
        MavenError: Java or Maven is missing, or Maven failed.
    """
    missing = missing_tools()
    if missing:
        raise MavenError(
            "A test that kills its broker needs Java 17 or later and Maven, whichever Kafka the "
            f"other tests use. Install them (not found: {', '.join(missing)})."
        )
    goal = ["dependency:copy-dependencies", f"-DoutputDirectory={folder}"]
    done = subprocess.run(
        ["mvn", "-q", "-B", "-f", str(POM), *goal],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise MavenError(f"Maven could not fetch Apache Kafka's jars:\n{done.stdout}")


def kafka_jars(cache: Path = CACHE, fetch: Fetch = fetch_with_maven) -> Path:
    """The folder with a broker's jars, filled at the first call.

    It is named after the pom's content, so an upgrade never meets old jars, and it appears with
    one rename, so it is complete or absent. Runs side by side wait for the first one's lock.
    """
    cache.mkdir(parents=True, exist_ok=True)
    ready = cache / hashlib.sha256(POM.read_bytes()).hexdigest()[:12]
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ready.is_dir():
            with tempfile.TemporaryDirectory(dir=cache, prefix="partial-") as partial:
                jars = Path(partial) / "lib"
                jars.mkdir()
                fetch(jars)
                os.replace(jars, ready)  # noqa: PTH105 a rename of a folder, not a move
    return ready
