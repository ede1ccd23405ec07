"""docs/security.md names for each promise tests that exist."""

import re

from support.project import ROOT


def test_every_test_that_the_page_names_is_there() -> None:
    """Every test file that docs/security.md names exists."""
    page = (ROOT / "docs" / "security.md").read_text()
    named = set(re.findall(r"`(tests/[\w/.]+)`", page))
    assert len(named) > 20
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []


def test_every_promise_has_a_test() -> None:
    """Every part of docs/security.md that promises something names its tests."""
    page = (ROOT / "docs" / "security.md").read_text()
    for part in page.split("\n## ")[1:]:
        assert ("### What is promised" in part) == ("### How it is tested" in part), part[:40]
