"""Where records without a key go, and those with one."""

from dataclasses import dataclass

from consumer.stream.partitioner import RUN, by_partition


@dataclass(frozen=True)
class Keyed:
    """A record, as far as it matters here."""

    key: bytes | None
    number: int
    spread: bool = False


def test_a_key_has_one_partition_whoever_leads() -> None:
    """In the order in which the records came."""
    records = [Keyed(b"user-%d" % (number % 50), number) for number in range(500)]
    found = by_partition(records, range(8), [3], turn=0)
    places = {record.key: place for place, its in found.items() for record in its}
    assert all(places[record.key] == place for place, its in found.items() for record in its)
    assert len(found) > 1
    assert all(its == sorted(its, key=lambda record: record.number) for its in found.values())


def test_many_without_a_key_take_turns_at_what_is_led() -> None:
    """So that every replica has its part of a burst."""
    records = [Keyed(None, number) for number in range(9 * RUN)]
    found = by_partition(records, range(8), [1, 4, 6], turn=0)
    assert {place: len(its) for place, its in found.items()} == dict.fromkeys([1, 4, 6], 3 * RUN)
    assert all(its == sorted(its, key=lambda record: record.number) for its in found.values())


def test_a_record_that_is_to_be_spread_goes_to_any_partition() -> None:
    """Its key decides nothing: the partition that the key has belongs to one replica."""
    records = [Keyed(b"user", number, spread=True) for number in range(RUN)]
    places = [list(by_partition(records, range(3), range(3), turn=turn)) for turn in range(3)]
    assert places == [[0], [1], [2]]


def test_few_without_a_key_are_one_batch() -> None:
    """The next ones are another partition's."""
    records = [Keyed(None, number) for number in range(RUN)]
    places = [list(by_partition(records, range(8), [1, 4], turn=turn)) for turn in range(3)]
    assert places == [[1], [4], [1]]


def test_where_nothing_is_led_all_take_part() -> None:
    """The client waits for leaders; it is not for us to lose a record."""
    found = by_partition([Keyed(None, number) for number in range(RUN + 1)], range(2), [], turn=1)
    assert {place: len(its) for place, its in found.items()} == {1: RUN, 0: 1}
