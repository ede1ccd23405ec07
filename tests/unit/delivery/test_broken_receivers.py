"""A receiver that rejects for a while what it took before, and others that reject by design: in
simulated time, retry topics included.
"""

from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest

from consumer.delivery.scheduling.circuit import CircuitPolicy
from support.drain_harness import DrainHarness
from support.fakes import make_hook
from support.scheduler_harness import LIMITS

WIDE = replace(LIMITS, concurrency=256, per_host=128, per_hook=64, waiting=1_024)
HOOK = make_hook("hook", uri="https://receiver.example/hook")
POLICY = CircuitPolicy()


def run(
    status: Callable[[float], int], *, seconds: float, per_turn: float, step: float
) -> DrainHarness:
    """Events for `seconds`, `per_turn` in each step; `status` answers by the time. Then until all
    have ended.
    """
    drain = DrainHarness(WIDE, step=step, circuit=POLICY, expire_after=86_400.0, max_attempts=12)
    drain.status = lambda _hook: status(drain.now)
    written, owed = 0, 0.0
    while drain.now < seconds:
        owed += per_turn
        written += int(owed)
        drain.source += [HOOK] * int(owed)
        owed -= int(owed)
        drain.turn()
    while sum(map(len, drain.ends.values())) < written:
        drain.turn()
        assert drain.now < seconds + 86_400.0 * 1.5, "all to have ended"
    return drain


@pytest.mark.parametrize(
    ("broken", "per_turn", "step", "status"),
    [
        (20.0, 2.5, 0.25, 302),
        (20.0, 2.5, 0.25, 403),
        (20.0, 2.5, 0.25, 404),
        (600.0, 1.0, 0.5, 404),
        (18_000.0, 0.5, 10.0, 401),
    ],
)
def test_a_receiver_that_is_broken_for_a_while_loses_no_more_than_the_volume(
    broken: float, per_turn: float, step: float, status: int
) -> None:
    """If a receiver rejects for a while what it took before, fewer deliveries than the circuit's
    volume become dead letters, and all others are delivered afterwards.
    """
    drain = run(
        lambda now: status if 60.0 <= now < 60.0 + broken else 200,
        seconds=120.0 + broken,
        per_turn=per_turn,
        step=step,
    )
    assert set(drain.dead_letters) == {"permanent"}
    assert drain.dead_letters["permanent"] < POLICY.min_volume
    assert max(drain.ends["hook"]) <= 60.0 + broken + 2 * POLICY.open_at_most + 720.0


def test_a_receiver_that_breaks_in_turns_loses_no_more_than_the_volume() -> None:
    """A receiver that answers 503, then 404, then 503 again loses fewer deliveries than the
    circuit's volume.
    """

    def status(now: float) -> int:
        return (503, 404)[int(now / 7) % 2] if 60.0 <= now < 360.0 else 200

    drain = run(status, seconds=400.0, per_turn=1.0, step=0.5)
    assert drain.dead_letters["permanent"] < POLICY.min_volume
    assert set(drain.dead_letters) == {"permanent"}


@pytest.mark.parametrize("share", [0.3, 0.5, 0.8])
def test_a_receiver_that_rejects_some_by_design_gets_every_request_at_once(share: float) -> None:
    """A receiver that answers 404 for unknown users gets every request at once: each rejected one
    is a dead letter, and nothing is deferred.
    """
    chance = Random(2)  # noqa: S311  # the same each time
    drain = run(
        lambda _now: 404 if chance.random() < share else 200,
        seconds=300.0,
        per_turn=2.0,
        step=0.25,
    )
    assert drain.writes == {}
    assert drain.dead_letters == {"permanent": len(drain.ends["hook permanent"])}
    assert drain.dead_letters["permanent"] == pytest.approx(2_400 * share, rel=0.1)


def test_a_receiver_that_never_comes_back_ends_its_deliveries_by_their_age() -> None:
    """Deliveries for a receiver that never comes back expire."""
    drain = run(lambda now: 200 if now < 60.0 else 404, seconds=120.0, per_turn=2.0, step=2.0)
    assert drain.dead_letters["permanent"] < POLICY.min_volume
    assert set(drain.dead_letters) == {"permanent", "expired"}
    assert min(drain.ends["hook expired"]) >= 86_400.0
