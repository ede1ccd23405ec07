"""A replica's share of the wanted number, in looks one second apart."""

import pytest

from consumer.wanted_replicas import (
    HOLD_SECONDS,
    MAX_GROWTH,
    TARGET_BUSY,
    Look,
    WantedReplicas,
    most_wanted,
)

CAPACITY = 1_000
"""Records a second that keep this replica busy all the time."""
LONG = int(2 * HOLD_SECONDS)


def work(
    wanted: WantedReplicas,
    seconds: int,
    *,
    events: int = 0,
    deferred: int = 0,
    unread: int = 0,
    partitions: int = 8,
) -> float:
    """Let the replica work, with so many records a second; returns its share at the end."""
    taken = min(events, CAPACITY - deferred)
    for _ in range(seconds):
        wanted.note(
            Look(
                seconds=1.0,
                busy=(taken + deferred) / CAPACITY,
                taken=taken,
                arrived=events,
                deferred=deferred,
                unread=unread,
                partitions=partitions,
            )
        )
    return wanted.value


@pytest.mark.parametrize(("events", "wants"), [(350, 0.5), (800, 0.8 / TARGET_BUSY)])
def test_an_even_load_wants_its_part_of_the_target(events: int, wants: float) -> None:
    """A replica whose events take 35 % of its time, of which 70 % may be taken, wants half of a
    replica; one whose events take 80 % wants more than itself.
    """
    assert work(WantedReplicas(), LONG, events=events) == pytest.approx(wants, rel=0.01)


@pytest.mark.parametrize("replicas", [2, 4, 8])
def test_the_sum_does_not_depend_on_how_many_share_the_load(replicas: int) -> None:
    """The shares of any number of replicas add up to what the load wants: 1,120 events a second
    want 1.6 replicas.
    """
    shares = [
        work(WantedReplicas(), LONG, events=1_120 // replicas, partitions=8 // replicas)
        for _ in range(replicas)
    ]
    assert sum(shares) == pytest.approx(1.6, rel=0.01)


def test_nothing_to_do_wants_nothing() -> None:
    """A replica without work wants none, once what it wanted before is long past."""
    wanted = WantedReplicas()
    work(wanted, 60, events=700)
    assert work(wanted, LONG) == pytest.approx(0.0, abs=1e-6)


def test_events_that_wait_unread_want_more_while_the_replica_has_no_time_to_spare() -> None:
    """A busy replica with unread events asks for others, by the time that working them off may
    take, and for a bounded number of them.
    """
    few, many, endless = (
        work(WantedReplicas(), 120, events=1_000, unread=unread)
        for unread in (18_000, 180_000, 100_000_000)
    )
    assert few == pytest.approx(1.1 / TARGET_BUSY, rel=0.01)  # a tenth of its pace for 180 seconds
    assert many == pytest.approx(2.0 / TARGET_BUSY, rel=0.01)
    assert endless == pytest.approx(MAX_GROWTH / TARGET_BUSY, rel=0.01)


def test_lag_of_a_replica_with_time_to_spare_wants_nothing() -> None:
    """Unread events of a replica that is not busy wait for something that others would not bring:
    its share is what it works.
    """
    share = work(WantedReplicas(), LONG, events=300, unread=10_000_000)
    assert share == pytest.approx(0.3 / TARGET_BUSY, rel=0.01)


def test_deferred_records_keep_a_replica_and_want_no_other() -> None:
    """A replica that is busy with deliveries out of the overflow topic wants itself: another one
    would only take them faster.
    """
    assert work(WantedReplicas(), LONG, deferred=1_000) == pytest.approx(1.0, rel=0.01)


def test_events_beside_deferred_records_want_their_own_part() -> None:
    """Events that a replica has no time for, because of deferred records, ask for another one."""
    share = work(WantedReplicas(), LONG, events=500, deferred=800, unread=36_000)
    assert share == pytest.approx((0.5 + 0.2) / TARGET_BUSY + 0.8, rel=0.01)


def test_a_burst_of_seconds_is_none() -> None:
    """Five seconds of full load change the share by less than half of a scaler's tolerance."""
    wanted = WantedReplicas()
    before = work(wanted, LONG, events=600)
    assert work(wanted, 5, events=1_000, unread=20_000) < before * 1.05


def test_a_rise_is_followed_within_a_minute() -> None:
    """A lasting rise has most of its effect within a minute."""
    wanted = WantedReplicas()
    work(wanted, LONG, events=200)
    assert work(wanted, 60, events=700) > 0.85


def test_the_highest_share_counts_for_a_quarter_of_an_hour() -> None:
    """A share falls only when it has been lower for fifteen minutes, and then at once."""
    wanted = WantedReplicas()
    high = work(wanted, LONG, events=700)
    assert work(wanted, 880, events=100) == pytest.approx(high, rel=0.01)
    assert work(wanted, 200, events=100) == pytest.approx(0.1 / TARGET_BUSY, rel=0.05)


def test_a_new_replica_counts_as_one() -> None:
    """A replica that has just got its first partitions, one after the other, wants itself, so that
    a rollout changes no number.
    """
    wanted = WantedReplicas()
    assert work(wanted, 1, partitions=0) == 0.0
    assert work(wanted, 1, partitions=1) == pytest.approx(1.0)
    assert work(wanted, 10, partitions=6) == pytest.approx(1.0)


def test_a_replica_without_partitions_wants_none() -> None:
    """A replica that no partition was left for adds nothing to the sum, and begins anew later."""
    wanted = WantedReplicas()
    work(wanted, LONG, events=700)
    assert work(wanted, 1, partitions=0) == 0.0
    assert work(wanted, 1, partitions=4) == pytest.approx(1.0)


def test_a_rebalance_keeps_the_sum() -> None:
    """When a replica takes over another's partitions it takes their share over as well, at once."""
    wanted = WantedReplicas()
    before = work(wanted, LONG, events=350, partitions=4)
    assert work(wanted, 1, events=350, partitions=8) == pytest.approx(2 * before, rel=0.01)


def test_no_more_replicas_are_wanted_than_there_are_partitions() -> None:
    """A replica with a single partition wants no other one, however much waits there."""
    assert work(WantedReplicas(), LONG, events=5_000, unread=10**9, partitions=1) == 1.0


def test_what_an_idle_process_does_for_itself_is_no_events_cost() -> None:
    """After a night with hardly an event the first ones of the morning are not taken for as dear as
    those of the night.
    """
    wanted = WantedReplicas()
    for _ in range(LONG):
        wanted.note(Look(1.0, busy=0.02, taken=1, arrived=1, deferred=0, unread=0, partitions=8))
    assert work(wanted, 60, events=300, unread=5_000) < 0.5


def test_most_wanted_grows_from_what_is_worked_to_the_most() -> None:
    """A replica asks for what it works while it has time to spare, and for more only beyond."""
    assert most_wanted(0.35) == pytest.approx(0.5)
    assert most_wanted(TARGET_BUSY) == pytest.approx(1.0)
    assert most_wanted(1.0) == pytest.approx(MAX_GROWTH / TARGET_BUSY)
