"""Where records without a key go, and those with one."""

from collections import Counter
from dataclasses import dataclass

from consumer.stream.partitioner import by_partition


@dataclass(frozen=True)
class Keyed:
    """A record, as far as it matters here."""

    key: bytes | None
    number: int


def test_a_key_has_one_partition_whoever_leads() -> None:
    """In the order in which the records came."""
    records = [Keyed(b"user-%d" % (number % 50), number) for number in range(500)]
    found = by_partition(records, range(8), [3])
    places = {record.key: place for place, its in found.items() for record in its}
    assert all(places[record.key] == place for place, its in found.items() for record in its)
    assert len(found) > 1
    assert all(its == sorted(its, key=lambda record: record.number) for its in found.values())


def test_what_has_no_key_takes_turns_at_what_is_led() -> None:
    """So that every replica has its part of a burst."""
    records = [Keyed(None, number) for number in range(9)]
    found = by_partition(records, range(8), [1, 4, 6])
    assert Counter({place: len(its) for place, its in found.items()}) == {1: 3, 4: 3, 6: 3}


def test_where_nothing_is_led_all_take_part() -> None:
    """The client waits for leaders; it is not for us to lose a record."""
    found = by_partition([Keyed(None, number) for number in range(4)], range(2), [])
    assert {place: len(its) for place, its in found.items()} == {0: 2, 1: 2}
