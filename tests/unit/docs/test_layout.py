"""The layout of the documents."""

from pathlib import Path

import pytest

from support.project import ROOT

DOCUMENTS = [
    *sorted(ROOT.glob("*.md")),
    ROOT / "tests" / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
MAX_COLUMNS = 100


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
