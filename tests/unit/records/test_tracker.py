"""A partition's offset tracker: what may be committed, and since when something is unsettled."""

from consumer.records.tracker import OffsetTracker
from support.fakes import FakeRecord


def test_before_the_first_record_its_beginning_may_be_committed() -> None:
    """Before its first record a partition's begin may be committed, so other tools see no lag."""
    partition = OffsetTracker("event", 0, 7)
    assert partition.committable == 7
    assert partition.oldest is None


def test_one_slow_delivery_holds_the_commit_and_not_the_memory() -> None:
    """One slow delivery holds the commit back, and what settled behind it takes no memory."""
    partition = OffsetTracker("event", 0, 0)
    slow = partition.receive(0, FakeRecord(), 1, now=5.0)
    for offset in range(1, 10_000):
        partition.receive(offset, FakeRecord(), 1, now=6.0).ack_one()
    assert (partition.committable, partition.unsettled, partition.oldest) == (0, 1, 5.0)
    slow.ack_one()
    assert (partition.committable, partition.unsettled, partition.oldest) == (10_000, 0, None)


def test_a_record_is_settled_when_all_its_deliveries_are() -> None:
    """A record is settled when all its deliveries are."""
    partition = OffsetTracker("event", 0, 0)
    pending = partition.receive(7, FakeRecord(), 3, now=0.0)
    for _ in range(2):
        pending.ack_one()
    assert partition.committable == 7
    pending.ack_one()
    assert partition.committable == 8


def test_reaching_never_goes_back() -> None:
    """A position never goes back, even if it is reported late."""
    partition = OffsetTracker("event", 0, 0)
    partition.skip(9)
    partition.skip_to(4)
    assert partition.committable == 10
