"""The seeds that the suite runs, in two files so that two workers share them."""

from simulation.__main__ import explain
from simulation.plan import make_plan
from simulation.world import run

SEEDS = 1_000
AT_ONCE = 25


def assert_all_hold(first: int) -> None:
    """Each of `AT_ONCE` seeds from `first` on keeps all promises; else its story is told."""
    for seed in range(first, first + AT_ONCE):
        plan = make_plan(seed)
        if run(plan).violation is not None:
            raise AssertionError("\n" + explain(plan))
