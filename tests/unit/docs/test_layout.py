"""The layout of documents and modules."""

from pathlib import Path

import pytest

from support.project import ROOT

DOCUMENTS = [
    *sorted(ROOT.glob("*.md")),
    ROOT / "tests" / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
MAX_COLUMNS = 100
MAX_LINES = 300


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_lines_of_a_document_have_at_most_100_columns(document: Path) -> None:
    """A line of a document has at most 100 columns, outside of tables, code blocks and lines that
    are one long link.
    """
    long, is_code = [], False
    for line in document.read_text().splitlines():
        is_code ^= line.startswith("```")
        exempt = is_code or line.startswith("|") or " " not in line.strip()
        if len(line) > MAX_COLUMNS and not exempt:
            long.append(line)
    assert long == []


def test_a_module_has_at_most_300_lines() -> None:
    """A module of the product has at most 300 lines, so that a reader can hold it in mind."""
    modules = (ROOT / "consumer").rglob("*.py")
    lines = {str(path.relative_to(ROOT)): path.read_text().count("\n") for path in modules}
    assert {path: count for path, count in lines.items() if count > MAX_LINES} == {}
