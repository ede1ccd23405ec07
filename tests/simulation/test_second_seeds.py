"""The second half of the seeds."""

import pytest

from simulation.seeds import AT_ONCE, SEEDS, assert_all_hold


@pytest.mark.parametrize("first", range(SEEDS // 2, SEEDS, AT_ONCE))
def test_the_promises_hold_in_more_worlds(first: int) -> None:
    """No step of another random world breaks a promise of `oracle.py`."""
    assert_all_hold(first)
