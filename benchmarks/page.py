"""`python -m benchmarks.page`: rewrites the tables and the chart of docs/performance.md.

They are made from results/published.json. In the page each table is between two comments that name
it; the rest is written by hand.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from textwrap import wrap

from benchmarks.capacity import PAGE_COLUMNS, capacity
from benchmarks.chart import Bar, Panel, draw
from benchmarks.contestants import PEERS
from benchmarks.published import PUBLISHED, Results, number, read_results
from benchmarks.scenarios import SCENARIOS
from benchmarks.scenarios.peers import CPU, PEAK, RATE

_DOCS = Path(__file__).parents[1] / "docs"
PAGE, CHART = _DOCS / "performance.md", _DOCS / "performance.svg"
_US = "hookstream, every guarantee on"


def main() -> None:
    """Write both files."""
    results = read_results(PUBLISHED)
    PAGE.write_text(page(PAGE.read_text(), results))
    CHART.write_text(chart(results))


def page(text: str, results: Results) -> str:
    """`text` with every block rewritten. Raises ValueError if a block is not there exactly once."""
    for name, block in BLOCKS.items():
        begin, end = f"<!-- {name}: from the results -->\n", f"<!-- end of {name} -->"
        if text.count(begin) != 1 or text.count(end) != 1:
            raise ValueError(f"the page has not one block {name!r}")
        before, rest = text.split(begin)
        _, after = rest.split(end)
        text = before + begin + "".join(f"{line}\n" for line in block(results)) + end + after
    return text


def chart(results: Results) -> str:
    """The chart of the page, as SVG."""
    peers = results["peers"]

    def panel(title: str, unit: str, hint: str) -> Panel:
        rows = [peers.find(f"{title}, {peer.name}") for peer in PEERS]
        others = [
            Bar(peer.name, row.other or 0.0, ours=False)
            for peer, row in zip(PEERS, rows, strict=True)
        ]
        return Panel(
            title[0].upper() + title[1:], unit, hint, [Bar(_US, rows[0].ours, ours=True), *others]
        )

    return draw(
        "What a delivery costs: hookstream beside its peers",
        [
            panel(CPU, "microseconds", "less is better"),
            panel(RATE, "1/s", "more is better"),
            panel(PEAK, "MB", "less is better"),
            Panel("CPU of hookstream by scenario, per delivery", "microseconds", "less is better",
                  [Bar(label, value, ours=True) for label, value in _ways(results)]),
        ],
    )  # fmt: skip


def _ways(results: Results) -> Iterator[tuple[str, float]]:
    for label, scenario, figure in (
        ("one hook, HTTP", "plain", CPU),
        ("one hook, HTTPS", "tls", CPU),
        ("one hook, HTTP/2", "http2", CPU),
        ("ten hooks an event", "fan-out", CPU),
        ("1,000 hooks in the table", "hooks", f"{CPU} to ten of 1,000"),
        ("100,000 hooks in the table", "hooks", f"{CPU} to ten of 100,000"),
        ("per success, if one in ten fails", "failing", "CPU per success"),
        ("per event that no hook wants", "no-match", "CPU per event"),
    ):
        yield label, results[scenario].find(figure).ours


def _measured(results: Results) -> Iterator[str]:
    """The line with times and machines of the figures."""
    machines = sorted({f"{each.machine}, Python {each.python}" for each in results.values()})
    moments = sorted(each.at for each in results.values())
    text = f"Measured from {moments[0]} to {moments[-1]} ({'; '.join(machines)})."
    yield from wrap(text, PAGE_COLUMNS, break_on_hyphens=False)


def _peers(results: Results) -> Iterator[str]:
    found = results["peers"]
    yield "| system | CPU per delivery | deliveries a second | peak memory |"
    yield "|---|---|---|---|"
    ours = [found.find(f"{figure}, {PEERS[0].name}").ours for figure in (CPU, RATE, PEAK)]
    yield _peer_line(f"**{_US}**", ours)
    for peer in PEERS:
        others = [found.find(f"{figure}, {peer.name}").other for figure in (CPU, RATE, PEAK)]
        yield _peer_line(peer.name, others)


def _peer_line(name: str, figures: list[float] | list[float | None]) -> str:
    cpu, rate, peak = map(number, figures)
    return f"| {name} | {cpu} us | {rate} | {peak} MB |"


def _every(results: Results) -> Iterator[str]:
    yield "| scenario | figure | hookstream | beside | ratio | target |"
    yield "|---|---|---|---|---|---|"
    for name in SCENARIOS:
        if name not in results:
            yield f"| `{name}` | not measured on a quiet machine yet | | | | |"
            continue
        result = results[name]
        runs = f"`{name}`, {result.pairs} run{'s' if result.pairs > 1 else ''}"
        scale = f" at {result.scale:g}" if result.scale != 1 else ""
        for index, row in enumerate(result.rows):
            target = {None: "", True: f"{row.target}: met", False: f"{row.target}: **missed**"}
            yield (
                f"| {'' if index else runs + scale} | {row.figure} ({row.unit})"
                f" | {number(row.ours)} | {number(row.other)} | {number(row.ratio)}"
                f" | {target[row.met]} |"
            )


Block = Callable[[Results], Iterator[str]]
BLOCKS: Mapping[str, Block] = {
    "peers": _peers,
    "measured": _measured,
    "capacity": capacity,
    "every": _every,
}
"""The page's blocks by name, in order."""


if __name__ == "__main__":
    main()
