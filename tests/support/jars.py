"""Apache Kafka's own jars, fetched once by Maven and kept for every later run."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from support.filled_folder import Fetch, filled_folder

POM = Path(__file__).parent / "kafka" / "pom.xml"
CACHE = Path(__file__).parents[2] / ".cache" / "kafka"


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
    """The folder with a broker's jars, filled at the first call (`filled_folder`)."""
    return filled_folder(cache, [POM], fetch)
