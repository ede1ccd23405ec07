"""The browser of the tests of the pages."""

from pathlib import Path

import pytest

from support.find_browser import VARIABLE, NoBrowserError, choose


def test_the_variable_wins_then_the_path_decides() -> None:
    """A browser that the environment names is taken, else the first one that the PATH has."""
    assert choose("/opt/chrome", lambda _: "/usr/bin/chromium") == Path("/opt/chrome")
    found = {"google-chrome": "/usr/bin/google-chrome"}
    assert choose("", found.get) == Path("/usr/bin/google-chrome")


def test_without_a_browser_the_run_fails_with_what_to_do() -> None:
    """A missing browser is an error that names each way to get one, and never a skipped test."""
    with pytest.raises(NoBrowserError, match=f"make browser.*{VARIABLE}"):
        choose("", lambda _: None)
