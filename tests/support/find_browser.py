"""The browser that the tests of the pages use; without any the run fails."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

VARIABLE = "HOOKSTREAM_TEST_BROWSER"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PACKAGE = "chromium"


class NoBrowserError(Exception):
    """No browser to test with; the sentence says how to get one."""


def choose(given: str, which: Callable[[str], str | None]) -> Path:
    """The browser that the variable names, else the first one on the PATH.

    Raises:
        NoBrowserError: there is none.
    """
    if given:
        return Path(given)
    found = next(filter(None, map(which, NAMES)), None)
    if found is None:
        raise NoBrowserError(
            "These tests need a Chromium, and there is none on the PATH. Do one of three things: "
            f"run `make browser` as root on Debian, which installs the package {PACKAGE}; install "
            f"Chromium or Chrome yourself; or set {VARIABLE}=/path/to/chromium."
        )
    return Path(found)


def find_browser() -> Path:
    """The browser on this machine. Raises `NoBrowserError`."""
    return choose(os.environ.get(VARIABLE, ""), shutil.which)


def main() -> None:
    """Say which browser the tests use; install Debian's if there is none and it may be done."""
    try:
        browser = find_browser()
    except NoBrowserError as error:
        if shutil.which("apt-get") is None or os.geteuid() != 0:
            sys.exit(str(error))
        command = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", PACKAGE]
        subprocess.run(command, check=True, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
        browser = find_browser()
    sys.stdout.write(f"browser: {browser}\n")


if __name__ == "__main__":
    main()
