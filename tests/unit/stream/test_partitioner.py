"""The partition of a record, with or without a key."""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from consumer.stream.partitioner import KEYLESS_RUN_RECORDS, by_partition


@dataclass(frozen=True)
class Keyed:
    """A record, as far as it matters here."""

    key: bytes | None
    number: int
    spread: bool = False
    partition: int | None = None
    is_ordered: bool = False


@pytest.mark.parametrize("usable", [range(8), [3, 4, 6], []], ids=["all", "some", "none"])
@pytest.mark.parametrize("may_move", [True, False])
def test_records_of_a_key_stay_together(usable: Sequence[int], may_move: bool) -> None:
    """Records of one key go to one partition, in the order in which they came."""
    records = [Keyed(b"user-%d" % (number % 50), number) for number in range(500)]
    found = by_partition(records, range(8), usable, round_robin=0, may_move=may_move)
    partitions = {record.key: tp for tp, its in found.items() for record in its}
    assert all(partitions[record.key] == tp for tp, its in found.items() for record in its)
    assert len(found) > 1
    assert all(its == sorted(its, key=lambda record: record.number) for its in found.values())


def test_a_key_whose_partition_takes_nothing_goes_to_another() -> None:
    """While a key's partition takes no records they go to one that does; all other keys stay at
    theirs, as do records that may not move.
    """
    records = [Keyed(b"user-%d" % number, number) for number in range(100)]

    def partitions(usable: Sequence[int], *, may_move: bool) -> dict[int, int]:
        found = by_partition(records, range(8), usable, round_robin=0, may_move=may_move)
        return {record.number: tp for tp, its in found.items() for record in its}

    home = partitions(range(8), may_move=True)
    assert set(home.values()) == set(range(8))
    moved = partitions([0, 1, 2, 4, 5, 7], may_move=True)
    assert not {3, 6} & set(moved.values())
    assert all(moved[number] == tp for number, tp in home.items() if tp not in {3, 6})
    assert partitions([], may_move=True) == home
    assert partitions([0], may_move=False) == home


def test_many_without_a_key_take_turns_at_what_is_led() -> None:
    """Many records without a key are spread over all partitions that have a leader."""
    records = [Keyed(None, number) for number in range(9 * KEYLESS_RUN_RECORDS)]
    found = by_partition(records, range(8), [1, 4, 6], round_robin=0, may_move=True)
    assert {tp: len(its) for tp, its in found.items()} == dict.fromkeys(
        [1, 4, 6], 3 * KEYLESS_RUN_RECORDS
    )
    assert all(its == sorted(its, key=lambda record: record.number) for its in found.values())


def test_a_record_that_is_to_be_spread_goes_to_any_partition() -> None:
    """A record that is to be spread goes to any partition, whatever its key."""
    records = [Keyed(b"user", number, spread=True) for number in range(KEYLESS_RUN_RECORDS)]
    partitions = [
        list(by_partition(records, range(3), range(3), round_robin=turn, may_move=True))
        for turn in range(3)
    ]
    assert partitions == [[0], [1], [2]]


def test_few_without_a_key_are_one_batch() -> None:
    """A few records without a key go to one partition as one batch, and the next ones to
    another.
    """
    records = [Keyed(None, number) for number in range(KEYLESS_RUN_RECORDS)]
    partitions = [
        list(by_partition(records, range(8), [1, 4], round_robin=turn, may_move=True))
        for turn in range(3)
    ]
    assert partitions == [[1], [4], [1]]


def test_if_no_partition_is_led_all_take_part() -> None:
    """If no partition has a leader all are used, and the client waits for leaders."""
    found = by_partition(
        [Keyed(None, number) for number in range(KEYLESS_RUN_RECORDS + 1)],
        range(2),
        [],
        round_robin=1,
        may_move=True,
    )
    assert {tp: len(its) for tp, its in found.items()} == {1: KEYLESS_RUN_RECORDS, 0: 1}


@pytest.mark.parametrize("key", [b"user", None], ids=["keyed", "keyless"])
@pytest.mark.parametrize("spread", [True, False])
def test_a_record_goes_to_the_partition_that_it_prefers(key: bytes | None, spread: bool) -> None:
    """A record goes to the partition that it prefers, in order with the other records there; if
    that takes no records or does not exist, it goes where a record without a preference goes.
    """
    records = [
        Keyed(key, number, spread, partition) for number, partition in enumerate([1, None, 6, 9, 1])
    ]

    def partitions(records: Sequence[Keyed], usable: Sequence[int]) -> dict[int, list[int]]:
        found = by_partition(records, range(8), usable, round_robin=1, may_move=True)
        return {tp: [record.number for record in its] for tp, its in found.items()}

    usable = [1, 2, 4]
    [other] = partitions([Keyed(key, 0, spread)], usable)
    assert other != 1
    assert partitions(records, usable) == {1: [0, 4], other: [1, 2, 3]}
    assert partitions([Keyed(key, 0, spread, 5)], []) == {5: [0]}
