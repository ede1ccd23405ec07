"""`python -m benchmarks [SCENARIO ...]`: runs scenarios on one broker and prints a table."""

import argparse
import platform
import sys
import tempfile
import time
from datetime import UTC, datetime
from os import cpu_count
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import page
from benchmarks.bench import Bench
from benchmarks.broker import Broker, running_broker
from benchmarks.errors import BenchmarkError
from benchmarks.published import (
    PUBLISHED,
    RESULTS,
    Result,
    Results,
    number,
    read_results,
    write_results,
)
from benchmarks.receiver import find_nginx
from benchmarks.scenarios import SCENARIOS

_WIDTH = 120
_QUICK_PAIRS, _QUICK_SCALE = 1, 0.1


def main() -> None:
    """Run the scenarios that the command line names, or all."""
    options = _arguments()
    try:
        find_nginx()
    except BenchmarkError as error:
        sys.exit(str(error))
    results, failed = _run(options)
    Console(width=_WIDTH).print(_table(results))
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
    parser.add_argument(
        "--pairs", type=int, help="runs of each side (default: 3, or 1 for long scenarios)"
    )
    parser.add_argument(
        "--scale", type=float, help="share of the full number of events (default: 1)"
    )
    parser.add_argument(
        "--quick", action="store_true", help="one run of each side with a tenth of the events"
    )
    parser.add_argument(
        "--write-docs", action="store_true", help="show the results in docs/performance.md"
    )
    return parser.parse_args()


def _run(options: argparse.Namespace) -> tuple[Results, list[str]]:
    """Run the scenarios and write their results. Returns results, and the names of failed ones."""
    results: dict[str, Result] = {}
    failed = []
    file = RESULTS / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    with tempfile.TemporaryDirectory(prefix="hookstream-benchmark-") as name:
        folder = Path(name)
        with running_broker(folder / "kafka") as broker:
            for scenario in options.scenario or SCENARIOS:
                print(f"{scenario}: {SCENARIOS[scenario].about} ...", flush=True)
                scenario_folder = folder / scenario
                scenario_folder.mkdir()
                try:
                    results[scenario] = _result(scenario, broker, scenario_folder, options)
                except BenchmarkError as error:
                    print(error)
                    failed.append(scenario)
                    continue
                print(f"  {results[scenario].seconds:.0f} s, written to {file}", flush=True)
                write_results(file, results)
                if options.write_docs:
                    _publish(scenario, results[scenario])
    return results, failed


def _result(name: str, broker: Broker, folder: Path, options: argparse.Namespace) -> Result:
    scenario = SCENARIOS[name]
    pairs = options.pairs or (_QUICK_PAIRS if options.quick else scenario.pairs)
    scale = options.scale or (_QUICK_SCALE if options.quick else 1.0)
    began = time.monotonic()
    rows = scenario.run(Bench(broker, folder, pairs, scale))
    return Result(
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        python=platform.python_version(),
        machine=f"{platform.machine()}, {cpu_count()} CPUs",
        pairs=pairs,
        scale=scale,
        seconds=round(time.monotonic() - began, 1),
        rows=rows,
    )


def _publish(name: str, result: Result) -> None:
    """Replace the scenario's published result, and write the page if all scenarios have one."""
    published = read_results(PUBLISHED) if PUBLISHED.exists() else {}
    published[name] = result
    ordered = {each: published[each] for each in SCENARIOS if each in published}
    write_results(PUBLISHED, ordered)
    if len(ordered) == len(SCENARIOS):
        page.main()


def _table(results: Results) -> Table:
    table = Table("scenario", "figure")
    for heading in ("hookstream", "beside", "ratio"):
        table.add_column(heading, justify="right")
    table.add_column("target")
    for scenario, result in results.items():
        for index, row in enumerate(result.rows):
            table.add_row(
                "" if index else scenario,
                f"{row.figure}, {row.unit}",
                number(row.ours),
                number(row.other),
                number(row.ratio),
                {None: "", True: "met: ", False: "MISSED: "}[row.met] + row.target,
            )
        table.add_section()
    return table


if __name__ == "__main__":
    main()
