"""A burst behind a rate limit: in simulated time, with the topics as Kafka keeps them."""

from dataclasses import replace

import pytest

from consumer.hooks.table import Hook, RateLimit
from support.drain_harness import DrainHarness
from support.fakes import make_hook
from support.scheduler_harness import LIMITS

WIDE = replace(LIMITS, concurrency=256, per_host=128, per_hook=64)


def limited(name: str, per_minute: int) -> Hook:
    """A hook at a host of its own, with a rate limit and no burst."""
    return make_hook(
        name, uri=f"https://{name}.example/{name}", rate_limit=RateLimit(per_minute, 60.0, 1)
    )


def drain(drain: DrainHarness, *bursts: tuple[Hook, int]) -> None:
    """Let bursts come at once, mixed, and wait for the end of them."""
    for number in range(max(times for _, times in bursts)):
        drain.source += [hook for hook, times in bursts if number < times]
    number = len(drain.source)
    while sum(map(len, drain.ends.values())) < number:
        drain.turn()
        assert drain.now < 4 * 5_000, "it stands"


@pytest.mark.parametrize(
    ("per_minute", "events", "waiting"),
    [
        pytest.param(1_200, 10_000, 1_024, id="at 20 a second"),
        pytest.param(30_000, 10_000, 1_024, id="fast"),
        pytest.param(12, 1_000, 102, id="slow"),
    ],
)
def test_a_burst_drains_at_its_rate(per_minute: int, events: int, waiting: int) -> None:
    """A burst behind a rate limit drains at 95 % of the rate or more all along, and each delivery
    is written once at most.
    """
    step = 0.25 if per_minute <= 1_200 else 0.05
    bench = DrainHarness(replace(WIDE, waiting=waiting), step=step, taken=round(2_000 * step))
    drain(bench, (limited("h", per_minute), events))
    ends = bench.ends["h"]
    for part in (0.25, 0.5, 0.75, 1.0):
        done = round(events * part)
        assert done * 60 / per_minute >= 0.95 * ends[done - 1]
    assert max(bench.writes.values()) == 1


def test_a_burst_drains_in_order() -> None:
    """A burst behind a rate limit is delivered in its order, however much of it overflows."""
    bench = DrainHarness(replace(WIDE, waiting=200), taken=500)
    drain(bench, (limited("h", 600), 3_000))
    numbers = [int(made.removeprefix("h-")) for made in bench.order["h"]]
    assert numbers == sorted(numbers)


def test_two_backlogs_do_not_hold_up_each_other() -> None:
    """Of two bursts that wait together, one of twenty minutes and one of two and a half,
    neither delays the other.
    """
    bench = DrainHarness(replace(WIDE, waiting=200))
    long, short = limited("long", 60), limited("short", 600)
    drain(bench, (long, 1_200), (short, 1_500))
    assert bench.ends["short"][-1] <= 1.05 * 150
    assert bench.ends["long"][-1] <= 1.05 * 1_200
    assert max(bench.writes.values()) == 1


def test_two_backlogs_at_one_limited_host() -> None:
    """Two bursts at one rate-limited host both drain all along, each at half of the rate."""
    bench = DrainHarness(replace(WIDE, waiting=200, host_rate_limit=RateLimit(10, 1.0, 1)))
    one, two = (make_hook(name, uri=f"https://shared.example/{name}") for name in ("one", "two"))
    drain(bench, (one, 3_000), (two, 3_000))
    for name in ("one", "two"):
        assert 0.9 * 300 <= bench.ends[name][1_499] <= 1.1 * 300
        assert bench.ends[name][-1] <= 1.05 * 600
    assert bench.writes.total() <= 6_000
