"""A replica's share of the wanted number, whatever it sees."""

from dataclasses import replace
from math import isfinite

from hypothesis import given
from hypothesis import strategies as st

from consumer.wanted_replicas import MAX_GROWTH, TARGET_BUSY, Look, WantedReplicas

RECORDS = st.integers(0, 10**7)
LOOKS = st.lists(
    st.builds(
        Look,
        seconds=st.floats(0.0, 3_600.0),
        busy=st.floats(0.0, 1.0),
        taken=RECORDS,
        arrived=RECORDS,
        deferred=RECORDS,
        unread=st.integers(0, 10**12),
        partitions=st.integers(0, 50),
    ),
    max_size=30,
)
ROUNDING = 1e-9


@given(looks=LOOKS)
def test_a_share_is_bounded(looks: list[Look]) -> None:
    """A share is a number from 0 to the replica's partitions, whatever is seen."""
    wanted = WantedReplicas()
    for look in looks:
        wanted.note(look)
        assert isfinite(wanted.value)
        assert 0.0 <= wanted.value <= look.partitions + ROUNDING


@given(looks=LOOKS, more=st.integers(1, 10**9))
def test_more_unread_events_never_want_less(looks: list[Look], more: int) -> None:
    """Of two replicas that see the same, the one with more unread events wants no less."""
    fewer, larger = WantedReplicas(), WantedReplicas()
    for look in looks:
        fewer.note(look)
        larger.note(replace(look, unread=look.unread + more))
        assert larger.value >= fewer.value - ROUNDING


@given(looks=LOOKS, partitions=st.integers(1, 50))
def test_a_replica_asks_for_a_bounded_number_of_others(looks: list[Look], partitions: int) -> None:
    """A replica with the same partitions throughout never asks for more than its busiest time
    allows.
    """
    wanted = WantedReplicas()
    for look in looks:
        wanted.note(replace(look, partitions=partitions))
        assert wanted.value <= max(1.0, MAX_GROWTH / TARGET_BUSY) + ROUNDING
