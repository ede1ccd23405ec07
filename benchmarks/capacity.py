"""What one would run for so many deliveries a second: arithmetic on measured figures."""

from collections.abc import Iterator
from math import ceil

from benchmarks.published import Results, number
from benchmarks.scenarios.peers import CPU, PEAK, RATE

_WISHES = (10_000, 100_000, 1_000_000)
"""Deliveries a second."""
_USED = 0.6
"""Of what a process carried in the benchmark: the rest is for peaks, and for a lost neighbour."""
_COPIES = 3
"""Of each record, as a cluster keeps them."""
_LEAST_BROKERS = 3
_EVENT = 500
"""Bytes of an event of the benchmark."""
_ANSWER = 0.1
"""Seconds that an endpoint takes to answer, for the requests in flight."""


def capacity(results: Results) -> Iterator[str]:
    """The figures used, the arithmetic, and the table."""
    one, tls, unwanted = results["plain"], results["http2"], results["no-match"]
    cpu, rate = tls.find(CPU).ours, one.find(RATE).ours
    peak = one.find(PEAK).ours
    served = unwanted.find("events a second").ours
    planned = rate * _USED
    pods = [ceil(wish / planned) for wish in _WISHES]
    brokers = [max(_LEAST_BROKERS, ceil(wish * (_COPIES + 1) / served)) for wish in _WISHES]
    yield (
        f"Used from the table below: {number(rate)} deliveries a second of one process (`plain`),"
        f" {number(cpu)} us of CPU per delivery over HTTP/2 with TLS (`http2`), {number(peak)} MB,"
        f" and {number(served)} events a second that one broker served (`no-match`), all of them"
        " together on the two cores."
    )
    yield ""
    columns = " | ".join(f"{wish:,}/s" for wish in _WISHES)
    yield f"| | {columns} | how |"
    yield "|---|" + "---|" * (len(_WISHES) + 1)
    yield _line("CPU of all replicas, cores", [wish * cpu / 1e6 for wish in _WISHES],
                f"rate x {number(cpu)} us")  # fmt: skip
    yield _line("replicas (pods)", pods, f"rate / ({_USED:g} x {number(rate)}), rounded up")
    yield _line("memory of all, GB", [each * peak / 1000 for each in pods],
                f"replicas x {number(peak)} MB")  # fmt: skip
    yield _line("partitions of the source topics", [2 * each for each in pods],
                "2 x replicas: a lost one's share is spread")  # fmt: skip
    yield _line("records from producers, MB/s", [wish * _EVENT / 1e6 for wish in _WISHES],
                f"rate x {_EVENT} bytes, one hook an event")  # fmt: skip
    yield _line("brokers", brokers,
                f"rate x ({_COPIES} copies + 1 reader) / {number(served)}, at least"
                f" {_LEAST_BROKERS}")  # fmt: skip
    yield _line("in flight in each replica", [wish * _ANSWER / each for wish, each in
                zip(_WISHES, pods, strict=True)],
                f"rate x {_ANSWER:g} s for an answer / replicas")  # fmt: skip


def _line(what: str, values: list[float] | list[int], how: str) -> str:
    return f"| {what} | {' | '.join(map(_whole, values))} | {how} |"


def _whole(value: float) -> str:
    """Rounded as a plan is: tenths only below ten."""
    return f"{value:,.0f}" if isinstance(value, int) or value >= 10 else f"{value:.1f}"  # noqa: PLR2004
