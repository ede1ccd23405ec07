"""The first half of the seeds."""

import pytest

from simulation.seeds import AT_ONCE, SEEDS, assert_all_hold


@pytest.mark.parametrize("first", range(0, SEEDS // 2, AT_ONCE))
def test_the_promises_hold_whatever_happens(first: int) -> None:
    """No step of a random world, such as kills, rebalances, lost acknowledgements and receivers
    that fail, breaks a promise of `oracle.py`.
    """
    assert_all_hold(first)
