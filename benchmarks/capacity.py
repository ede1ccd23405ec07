"""Plans the capacity for given rates of deliveries, by arithmetic on measured figures."""

from collections.abc import Iterator
from math import ceil
from textwrap import wrap

from benchmarks.published import Results, number
from benchmarks.scenarios.peers import CPU, PEAK, RATE

_GOALS_PER_SECOND = (10_000, 100_000, 1_000_000)
_USED_FRACTION = 0.6
"""Planned part of a process's measured rate: the rest is for peaks and lost replicas."""
_REPLICATION_FACTOR = 3
_MIN_BROKERS = 3
_EVENT_BYTES = 500
"""Size of an event of the benchmark."""
_ANSWER_SECONDS = 0.1
"""Time that an endpoint takes to answer, for the requests in flight."""
PAGE_COLUMNS = 100
"""Columns of a line of the page."""


def capacity(results: Results) -> Iterator[str]:
    """The lines of the page: the figures used, and the table with the arithmetic."""
    one, tls, unwanted = results["plain"], results["http2"], results["no-match"]
    cpu, rate = tls.find(CPU).ours, one.find(RATE).ours
    peak = one.find(PEAK).ours
    served = unwanted.find("events a second").ours
    planned = rate * _USED_FRACTION
    pods = [ceil(goal / planned) for goal in _GOALS_PER_SECOND]
    brokers = [
        max(_MIN_BROKERS, ceil(goal * (_REPLICATION_FACTOR + 1) / served))
        for goal in _GOALS_PER_SECOND
    ]
    yield from wrap(
        f"Used from the table below: {number(rate)} deliveries a second of one process (`plain`),"
        f" {number(cpu)} us of CPU per delivery over HTTP/2 with TLS (`http2`), {number(peak)} MB,"
        f" and {number(served)} events a second that one broker served (`no-match`), all of them"
        " together on the two cores.",
        PAGE_COLUMNS,
        break_on_hyphens=False,
    )
    yield ""
    columns = " | ".join(f"{goal:,}/s" for goal in _GOALS_PER_SECOND)
    yield f"| | {columns} | how |"
    yield "|---|" + "---|" * (len(_GOALS_PER_SECOND) + 1)
    yield _line("CPU of all replicas, cores", [goal * cpu / 1e6 for goal in _GOALS_PER_SECOND],
                f"rate x {number(cpu)} us")  # fmt: skip
    yield _line(
        "replicas (pods)", pods, f"rate / ({_USED_FRACTION:g} x {number(rate)}), rounded up"
    )
    yield _line("memory of all, GB", [each * peak / 1000 for each in pods],
                f"replicas x {number(peak)} MB")  # fmt: skip
    yield _line("partitions of the source topics", [2 * each for each in pods],
                "2 x replicas: a lost one's share is spread")  # fmt: skip
    yield _line("records from producers, MB/s",
                [goal * _EVENT_BYTES / 1e6 for goal in _GOALS_PER_SECOND],
                f"rate x {_EVENT_BYTES} bytes, one hook an event")  # fmt: skip
    yield _line("brokers", brokers,
                f"rate x ({_REPLICATION_FACTOR} copies + 1 reader) / {number(served)}, at least"
                f" {_MIN_BROKERS}")  # fmt: skip
    yield _line("in flight in each replica", [goal * _ANSWER_SECONDS / each for goal, each in
                zip(_GOALS_PER_SECOND, pods, strict=True)],
                f"rate x {_ANSWER_SECONDS:g} s for an answer / replicas")  # fmt: skip


def _line(what: str, values: list[float] | list[int], how: str) -> str:
    return f"| {what} | {' | '.join(map(_whole, values))} | {how} |"


def _whole(value: float) -> str:
    """A rounded figure: tenths below ten only."""
    return f"{value:,.0f}" if isinstance(value, int) or value >= 10 else f"{value:.1f}"  # noqa: PLR2004
