"""Reads and writes results: a file for each run, and the one for docs/performance.md."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.bench import Row

RESULTS = Path(__file__).parent / "results"
PUBLISHED = RESULTS / "published.json"
"""The committed results. Their scenarios may be from several runs, each with its time."""


class Result(NamedTuple):
    """The result of one scenario."""

    at: str
    """RFC 3339, to the second."""
    python: str
    machine: str
    pairs: int
    scale: float
    seconds: float
    """Duration of the scenario."""
    rows: list[Row]

    def find(self, figure: str) -> Row:
        """The row of this name. Raises KeyError if there is none."""
        for row in self.rows:
            if row.figure == figure:
                return row
        raise KeyError(figure)


Results = Mapping[str, Result]
"""Results by scenario, in the order of `SCENARIOS`."""


def write_results(path: Path, results: Results) -> None:
    """Write the results to `path`, replacing the file."""
    path.parent.mkdir(exist_ok=True)
    content = {
        name: result._asdict() | {"rows": [row._asdict() for row in result.rows]}
        for name, result in results.items()
    }
    path.write_text(json.dumps(content, indent=1) + "\n")


def read_results(path: Path) -> dict[str, Result]:
    """Read the results in `path`."""
    content: dict[str, dict[str, Any]] = json.loads(path.read_text())
    return {
        name: Result(**fields | {"rows": [Row(**row) for row in fields["rows"]]})
        for name, fields in content.items()
    }


def number(value: float | None) -> str:
    """A number for people: three significant digits, or all before the point."""
    if value is None:
        return ""
    if value == int(value):
        return f"{value:,.0f}"
    size = abs(value)
    digits = 0 if size >= 1_000 else 1 if size >= 10 else 2 if size >= 0.1 else 3  # noqa: PLR2004
    return f"{value:,.{digits}f}"
