"""Exponential backoff between attempts that fail."""

from hypothesis import given
from hypothesis import strategies as st

from consumer.stream.backoff import FIRST_PAUSE_SECONDS, MAX_PAUSE_SECONDS, Unreachable, pause_after
from support.fakes import FakeClock

A, B = ("a.example.com", 9092), ("b.example.com", 9092)


@given(failures=st.integers(1, 10_000), chance=st.floats(0, 1, exclude_max=True))
def test_pauses_grow_to_a_bound(failures: int, chance: float) -> None:
    """Each failure doubles the pause up to a bound and its jitter."""
    pause = pause_after(failures, chance)
    assert 0.8 * FIRST_PAUSE_SECONDS <= pause <= 1.2 * MAX_PAUSE_SECONDS
    assert pause <= 1.2 * FIRST_PAUSE_SECONDS * 2.0 ** min(failures - 1, 20)


def test_an_address_rests_after_each_failure_until_it_is_reached() -> None:
    """An address is left alone after each failure until it is reached, others are not affected, and
    each kind of failure is logged once in a row.
    """
    clock = FakeClock()
    unreachable = Unreachable(clock.monotonic, lambda: 0.5)
    assert unreachable.add(A, "refused")
    assert unreachable.backs_off(A)
    assert not unreachable.backs_off(B)
    clock.advance(FIRST_PAUSE_SECONDS)
    assert not unreachable.backs_off(A)
    assert A in unreachable
    assert not unreachable.add(A, "refused")
    assert unreachable.add(A, "certificate")
    assert not unreachable.add(A, "refused")
    clock.advance(FIRST_PAUSE_SECONDS)
    assert unreachable.backs_off(A)
    unreachable.discard(A)
    assert not unreachable.backs_off(A)
    assert unreachable.add(A, "refused")


def test_addresses_that_are_no_brokers_any_more_are_forgotten() -> None:
    """Addresses that are no longer brokers are forgotten, so memory does not grow."""
    unreachable = Unreachable(FakeClock().monotonic, lambda: 0.5)
    unreachable.add(A, "refused")
    unreachable.add(B, "refused")
    unreachable.retain({B})
    assert list(unreachable) == [B]
    assert len(unreachable) == 1
