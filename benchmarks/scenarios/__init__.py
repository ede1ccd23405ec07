"""Every scenario by its name, in the order in which all are run."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from benchmarks.bench import Bench, Row
from benchmarks.scenarios import memory, throughput


class Scenario(NamedTuple):
    """One line of the list, and what it runs."""

    about: str
    run: Callable[[Bench], list[Row]]


SCENARIOS: Mapping[str, Scenario] = {
    "plain": Scenario("one hook over HTTP, beside the forty lines", throughput.plain),
    "tls": Scenario("the same over TLS", throughput.tls),
    "http2": Scenario("the same where the receiver offers HTTP/2", throughput.http2),
    "fan-out": Scenario("every event goes to ten hooks", throughput.fan_out),
    "no-match": Scenario("events that no hook wants", throughput.no_match),
    "backlog": Scenario("memory with a million events waiting", memory.backlog),
}
