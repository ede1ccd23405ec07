"""Days of load under scalers: the wanted replicas beside KEDA's lag of the group."""

import pytest

from scaling.load import Days
from scaling.model import Installation, Tally
from scaling.published import compare, table
from scaling.scalers import wanted_replicas
from support.project import ROOT


@pytest.fixture(scope="module")
def tallies() -> dict[str, Tally]:
    """The published comparison."""
    return compare()


def test_days_without_bursts_are_followed_up_and_down_once() -> None:
    """Under a day's even rise and fall the number of replicas rises in the morning, falls in the
    evening and never goes back and forth, whatever the noise and a dead endpoint's overflow.
    """
    tally = Installation(Days(2, 3, bursts=0), wanted_replicas).run()
    assert tally.flaps == 0
    assert tally.changes <= 30  # from one to five and back, thrice
    assert tally.most == 5
    assert tally.worst_wait < 10.0


def test_the_wanted_replicas_bound_the_wait_through_bursts(tallies: dict[str, Tally]) -> None:
    """Bursts of up to four times the load are worked off: no event waits for much longer than new
    replicas take to start, and no more than one change in three days is taken back at once.
    """
    tally = tallies["`hookstream_wanted_replicas`"]
    assert tally.worst_wait < 90.0
    assert tally.late_seconds < 60.0
    assert tally.flaps <= 1


def test_the_groups_lag_is_no_measure_of_work(tallies: dict[str, Tally]) -> None:
    """On the same days KEDA's lag of the group runs five times as many replicas for what a dead and
    a limited endpoint leave waiting, and the source topics' lag alone goes back and forth.
    """
    wanted, group, source = tallies.values()
    assert group.replica_seconds > 5 * wanted.replica_seconds
    assert source.flaps > 100 * max(1, wanted.flaps)


def test_the_published_comparison_is_the_present_one(tallies: dict[str, Tally]) -> None:
    """The table in docs/operations.md is what `make scaling` prints."""
    assert table(tallies) in (ROOT / "docs" / "operations.md").read_text()
