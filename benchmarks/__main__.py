"""`python -m benchmarks [SCENARIO ...]`: runs them on one broker and prints one table."""

import argparse
import json
import platform
import sys
import tempfile
from datetime import UTC, datetime
from os import cpu_count
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.bench import Bench, Row
from benchmarks.broker import running_broker
from benchmarks.errors import BenchmarkError
from benchmarks.receiver import find_nginx
from benchmarks.scenarios import SCENARIOS

_RESULTS = Path(__file__).parent / "results"
_WIDTH = 120
Results = dict[str, list[Row]]


def main() -> None:
    """Run what the command line names; all where it names none."""
    options = _arguments()
    try:
        find_nginx()
    except BenchmarkError as error:
        sys.exit(str(error))
    results, failed = _run(options.scenario or list(SCENARIOS), options.pairs, options.scale)
    Console(width=_WIDTH).print(_table(results))
    print(f"written to {_write(results, options)}")
    if failed:
        sys.exit(f"without a result: {', '.join(failed)}")


def _arguments() -> argparse.Namespace:
    listed = "\n".join(f"  {name:<16} {scenario.about}" for name, scenario in SCENARIOS.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=f"Scenarios:\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("scenario", nargs="*", choices=[*SCENARIOS, []], metavar="SCENARIO")
    parser.add_argument("--pairs", type=int, default=3, help="runs of each side (default: 3)")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="share of the full number of events (default: 1)"
    )
    return parser.parse_args()


def _run(names: list[str], pairs: int, scale: float) -> tuple[Results, list[str]]:
    """The rows of each scenario, and the names of those that gave none."""
    results, failed = {}, []
    with tempfile.TemporaryDirectory(prefix="hookstream-benchmark-") as name:
        folder = Path(name)
        with running_broker(folder / "kafka") as broker:
            for scenario in names:
                print(f"{scenario}: {SCENARIOS[scenario].about} ...", flush=True)
                place = folder / scenario
                place.mkdir()
                try:
                    results[scenario] = SCENARIOS[scenario].run(Bench(broker, place, pairs, scale))
                except BenchmarkError as error:
                    print(error)
                    failed.append(scenario)
    return results, failed


def _table(results: Results) -> Table:
    table = Table("scenario", "figure")
    for heading in ("hookstream", "beside", "ratio"):
        table.add_column(heading, justify="right")
    table.add_column("target")
    for scenario, rows in results.items():
        for number, row in enumerate(rows):
            table.add_row(
                "" if number else scenario,
                f"{row.figure}, {row.unit}",
                _number(row.ours),
                _number(row.other),
                _number(row.ratio),
                {None: "", True: "met: ", False: "MISSED: "}[row.met] + row.target,
            )
        table.add_section()
    return table


def _number(value: float | None) -> str:
    if value is None:
        return ""
    digits = 0 if abs(value) >= 1_000 else 1 if abs(value) >= 10 else 3  # noqa: PLR2004
    return f"{value:,.{digits}f}"


def _write(results: Results, options: argparse.Namespace) -> Path:
    at = datetime.now(UTC)
    _RESULTS.mkdir(exist_ok=True)
    path = _RESULTS / f"{at:%Y%m%dT%H%M%SZ}.json"
    content = {
        "at": at.isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {cpu_count()} CPUs",
        "pairs": options.pairs,
        "scale": options.scale,
        "results": {name: [row._asdict() for row in rows] for name, rows in results.items()},
    }
    path.write_text(json.dumps(content, indent=1))
    return path


if __name__ == "__main__":
    main()
