"""A burst behind a rate limit: in simulated time, with the retry topics as Kafka keeps them."""

from dataclasses import replace

import pytest

from consumer.hooks.table import Hook, RateLimit
from support.drain_harness import DELAYS, DrainHarness
from support.fakes import make_hook
from support.scheduler_harness import LIMITS, POLICY, SchedulerHarness

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
    ("per_minute", "events", "waiting", "trickle"),
    [
        pytest.param(120, 10_000, 102, 0.0, id="100,000 at 20 a second, in a tenth of the size"),
        pytest.param(120, 10_000, 102, 30.0, id="with others' records on the retry topics"),
        pytest.param(1_200, 10_000, 1_024, 0.0, id="fewer"),
        pytest.param(30_000, 25_000, 1_024, 0.0, id="fast"),
        pytest.param(12, 1_000, 102, 0.0, id="slow"),
    ],
)
def test_a_burst_drains_at_its_rate(
    per_minute: int, events: int, waiting: int, trickle: float
) -> None:
    """A burst behind a rate limit drains at 95 % of the rate or more with few writes to the retry
    topics.

    1. At 95 % of the rate or more, all along. 2. With seven writes to the retry topics per delivery
    at most, as many as a wait of half an hour in topics of 10 s, 1 m and 10 m needs. 3. No delivery
    is written five times as often as another.
    """
    step = 0.25 if per_minute <= 1_200 else 0.05
    bench = DrainHarness(replace(WIDE, waiting=waiting), step=step, taken=round(2_000 * step))
    bench.trickle = trickle
    hook = limited("h", per_minute)
    drain(bench, (hook, events))
    ends = bench.ends["h"]
    for part in (0.25, 0.5, 0.75, 1.0):
        done = round(events * part)
        assert done * 60 / per_minute >= 0.95 * ends[done - 1]
    assert bench.writes.total() <= 7.0 * events
    assert max(bench.writes.values()) <= 35


def test_two_backlogs_do_not_hold_up_each_other() -> None:
    """Of two bursts that share the retry topics, one of an hour and one of five minutes, neither
    delays the other.
    """
    bench = DrainHarness(replace(WIDE, waiting=200))
    long, short = limited("long", 60), limited("short", 600)
    drain(bench, (long, 3_600), (short, 3_000))
    assert bench.ends["short"][-1] <= 1.2 * 300
    assert bench.ends["long"][-1] <= 1.1 * 3_600


def test_two_backlogs_at_one_limited_host() -> None:
    """Two bursts at one rate-limited host both drain all along, each at half of the rate."""
    bench = DrainHarness(replace(WIDE, waiting=200, host_rate_limit=RateLimit(10, 1.0, 1)))
    one, two = (make_hook(name, uri=f"https://shared.example/{name}") for name in ("one", "two"))
    drain(bench, (one, 3_000), (two, 3_000))
    for name in ("one", "two"):
        assert 0.9 * 300 <= bench.ends[name][1_499] <= 1.1 * 300
        assert bench.ends[name][-1] <= 1.05 * 600
    assert bench.writes.total() <= 7.0 * 6_000


def test_what_is_deferred_at_once_comes_back_at_the_rate() -> None:
    """Deliveries that are deferred at once come back at the rate, in the order in which they are
    written, from the first second on.
    """
    bench = SchedulerHarness(replace(WIDE, waiting=1_024), replace(POLICY, delays=DELAYS))
    hook = limited("h", 30_000)
    for _ in range(5_000):
        bench.submit(hook)
        while bench.scheduler.at_capacity:
            bench.scheduler.shed_load()
    delays = [deferral.delay for deferral in bench.outcomes.deferrals.values()]
    assert delays == sorted(delays)
    assert delays[0] == 1.0
    assert delays[-1] == pytest.approx(5_000 * 0.002 - 1.0, rel=0.05)
