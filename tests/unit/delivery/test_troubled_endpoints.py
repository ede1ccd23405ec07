"""Endpoints that are slow, down, or up and down: in simulated time, retry topics included."""

from dataclasses import replace

import pytest

from consumer.delivery.scheduling.circuit import CircuitState
from support.drain_harness import DrainHarness
from support.fakes import make_hook
from support.scheduler_harness import LIMITS, POLICY

WIDE = replace(LIMITS, concurrency=256, per_host=128, per_hook=64, waiting=1_024)
SLOW = make_hook("slow", uri="https://slow.example/slow")
GOOD = make_hook("good", uri="https://good.example/good")


def until_settled(drain: DrainHarness, number: int, within: float) -> None:
    """Until as many deliveries have ended, delivered or not."""
    while sum(map(len, drain.ends.values())) < number:
        drain.turn()
        assert drain.now < within, drain.ends.keys()


@pytest.mark.parametrize("per_second", [50, 250, 400])
def test_a_slow_endpoint_without_a_rate_limit_holds_up_no_other(per_second: int) -> None:
    """A slow endpoint without a rate limit does not slow down another endpoint to its own pace.

    1. Half of the events are for an endpoint that takes some hundreds a second, and there are
    always more. 2. The other endpoint gets its half of what this process can take in, less what
    deferring costs: not as few as the slow one.
    """
    drain, taken = DrainHarness(WIDE, step=0.05, taken=200), 4_000
    drain.per_second["slow"] = per_second
    while drain.now < 20.0:
        while len(drain.source) < 1_000:
            drain.source += [SLOW, GOOD]
        drain.turn()
    assert len(drain.ends["good"]) >= 0.3 * taken * drain.now
    assert len(drain.ends["slow"]) >= 0.95 * per_second * drain.now


def test_deliveries_expire_behind_an_open_circuit() -> None:
    """Deliveries of a receiver that is down expire behind its open circuit, most without an
    attempt.

    1. A receiver never takes anything. 2. Each delivery is a dead letter soon after
    `delivery.expire_after`, and not before, most of them without a single attempt. 3. What the open
    circuit still lets through are probes.
    """
    drain = DrainHarness(WIDE, expire_after=900.0, max_attempts=1_000)
    drain.status = lambda _hook: 503
    drain.source += [GOOD] * 500
    until_settled(drain, 500, within=2_000.0)
    ends = drain.ends["good expired"]
    assert len(ends) == drain.dead_letters["expired"] == 500
    assert ends[0] >= 900.0
    assert ends[-1] <= 900.0 + 720.0  # it may have been on the retry topic of ten minutes
    assert drain.attempts["good"] < 100


def test_attempts_end_though_time_does_not() -> None:
    """`retry.max_attempts` counts over all passes, with the circuit's rests between them."""
    drain = DrainHarness(WIDE, max_attempts=3)
    drain.status = lambda _hook: 503
    drain.source += [GOOD] * 3
    until_settled(drain, 3, within=10_000.0)
    assert drain.dead_letters == {"exhausted": 3}
    assert drain.attempts["good"] == 9


def test_a_flapping_endpoint_gets_everything() -> None:
    """An endpoint that is up and down by turns gets everything in the end.

    1. A receiver is up for 40 seconds and down for 40, five times, while events come. 2. The
    circuit opens and closes. 3. All is delivered, with some half more attempts than events, and the
    neighbour's events at once.
    """
    drain = DrainHarness(WIDE, max_attempts=20)
    drain.status = lambda hook: (
        503 if hook == "slow" and drain.now < 400 and drain.now % 80 > 40 else 200
    )
    states = set()
    while drain.now < 400:
        drain.source += [SLOW, GOOD] * 2
        drain.turn()
        states.add(drain.endpoint(SLOW).circuit.state)
        assert len(drain.ends["good"]) == drain.now / 0.25 * 2
    until_settled(drain, 6_400, within=1_500.0)
    assert len(drain.ends["slow"]) == 3_200
    assert {CircuitState.CLOSED, CircuitState.OPEN} <= states
    assert drain.dead_letters == {}
    assert drain.attempts["slow"] <= 1.6 * 3_200


def test_a_storm_of_reloads_loses_nothing() -> None:
    """A storm of reloads loses no delivery, makes none twice, and leaves no host behind.

    1. Every 100 ms the bounds and each definition are new, and the receiver moves, while the
    capacity is used up and a rate limit is in force at the hosts. 2. Each delivery is made once;
    nothing is kept of the hosts that were.
    """
    drain = DrainHarness(replace(WIDE, waiting=50), step=0.1)
    drain.per_second["hook"] = 60.0
    for number in range(200):
        uri = f"https://host{number % 7}.example/hook"
        drain.source += [make_hook("hook", uri=uri)] * 10
        drain.reconfigure(
            drain.scheduler._unfinished.policy, "hook", waiting=50, per_host=2 + number % 9
        )
        drain.turn()
    until_settled(drain, 2_000, within=500.0)
    assert len(drain.ends["hook"]) == drain.attempts["hook"] == 2_000
    drain.reconfigure(POLICY, "hook")
    assert len(drain.scheduler._table.hosts) == 1
    assert not drain.busy
    assert drain.scheduler.in_flight == drain.scheduler._waiting == 0
