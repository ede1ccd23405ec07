"""The scenarios by name, in the order in which they are run."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from benchmarks.bench import Bench, Row
from benchmarks.scenarios import (
    burst,
    delivery_log,
    hooks,
    isolation,
    memory,
    overflow,
    peers,
    replicas,
    restarts,
    throughput,
    transport,
)


class Scenario(NamedTuple):
    """A scenario and its line of the list."""

    about: str
    run: Callable[[Bench], list[Row]]
    pairs: int = 3
    """Default runs of each side."""


SCENARIOS: Mapping[str, Scenario] = {
    "plain": Scenario("one hook over HTTP, beside the forty lines", throughput.plain),
    "peers": Scenario("the same beside three frameworks and loops more", peers.peers),
    "tls": Scenario("the same over TLS", throughput.tls),
    "http2": Scenario("the same with a receiver that offers HTTP/2", throughput.http2),
    "fan-out": Scenario("every event goes to ten hooks", throughput.fan_out),
    "no-match": Scenario("events that no hook wants", throughput.no_match),
    "hooks": Scenario("1,000 and 100,000 hooks beside ten; a reload of all", hooks.many, pairs=1),
    "burst": Scenario("20,000 events at once for a hook with 500 a second", burst.burst, pairs=1),
    "failing": Scenario("10 % of the deliveries fail, and go to retry topics", isolation.failing),
    "hung-steady": Scenario(
        "500 events a second, 5 % to an endpoint that never answers",
        isolation.hung_steady,
        pairs=1,
    ),
    "hung-throughput": Scenario(
        "the healthy 95 % beside the same run without the hung 5 %",
        isolation.hung_throughput,
        pairs=1,
    ),
    "dead": Scenario(
        "100,000 deliveries for a dead endpoint, beside a healthy one", overflow.dead, pairs=1
    ),
    "limited": Scenario(
        "5,000 events at once for a receiver that takes 50 a second and says 429 beyond",
        overflow.limited,
        pairs=1,
    ),
    "mixed": Scenario(
        "what waits for two dead endpoints, a limited one and a healthy one, over a rebalance",
        overflow.mixed,
        pairs=1,
    ),
    "backlog": Scenario("memory with a million events waiting", memory.backlog, pairs=1),
    "replicas": Scenario("two and four replicas beside one, on one machine", replicas.replicas),
    "restarts": Scenario(
        "300 events a second while each of three replicas is restarted", restarts.restarts, pairs=1
    ),
    "killed": Scenario("kill -9 in the middle of a backlog", restarts.killed, pairs=1),
    "delivery-log": Scenario(
        "everything logged and the defaults, beside no log", delivery_log.delivery_log
    ),
    "transport": Scenario("a GET by libcurl, aiohttp, a bare loop", transport.transport),
}
