"""ARCHITECTURE.md is true: files, layers and names in it exist."""

import re
import tomllib

import pytest

from support.project import ROOT

TEXT = (ROOT / "ARCHITECTURE.md").read_text()
_FILE = re.compile(r"`([\w/]+\.py)`")


def _section(heading: str) -> str:
    return TEXT.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]


@pytest.mark.parametrize("file", sorted(set(_FILE.findall(TEXT))))
def test_each_file_that_is_named_exists(file: str) -> None:
    """Each Python file that the page names exists, below `consumer/` or the repository's root."""
    assert (ROOT / "consumer" / file).is_file() or (ROOT / file).is_file()


def test_the_table_of_layers_is_the_one_that_is_enforced() -> None:
    """The layers on the page are those of import-linter's contract, each of them once."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contract = project["tool"]["importlinter"]["contracts"][0]["layers"]
    enforced = sorted(name.strip(" ()") for layer in contract for name in layer.split("|"))
    rows = [line for line in _section("Layers").splitlines() if line.startswith("| `")]
    assert sorted(re.findall(r"`(\w+)`", "".join(row.split(" | ")[0] for row in rows))) == enforced


def test_the_walk_begins_with_the_picture_and_is_numbered() -> None:
    """The page begins with a picture and a numbered walk of one failing delivery with its files."""
    assert TEXT.index("```mermaid") < TEXT.index("## One failing delivery")
    walk = _section("One failing delivery, step by step")
    steps = [line for line in walk.splitlines() if re.match(r"\d+\. ", line)]
    assert [int(step.split(".")[0]) for step in steps] == list(range(1, len(steps) + 1))
    assert len(_FILE.findall(walk)) > len(steps)


def test_the_glossary_has_twenty_words() -> None:
    """The glossary explains some twenty words, each once and in order of the table's rows."""
    words = re.findall(r"^\| ([a-z][^|]+) \|", _section("Glossary"), re.MULTILINE)[1:]
    assert len(words) == len(set(words)) >= 20
