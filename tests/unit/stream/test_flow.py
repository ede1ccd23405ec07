"""What comes, what is taken and what waits: by offsets, from one reading to the next."""

import pytest
from aiokafka import TopicPartition

from consumer.metrics.stream import StreamMetrics
from consumer.stream.assignment import Assignment
from consumer.stream.flow import Flow, FlowMeter
from consumer.stream.overflow_topic import OverflowTopic
from consumer.stream.positions import Beginning, CommitNote, Why
from support.fake_consumer import FakeConsumer
from support.fakes import FakeClock

A, B = TopicPartition("event", 0), TopicPartition("event", 1)
RETRY = TopicPartition("hookstream.retry.10s", 0)
OVERFLOW = TopicPartition("hookstream.overflow", 0)
NOTE = CommitNote("cluster", "event-0", since=0, partitions=2)


class FlowHarness:
    """A meter on an assignment whose offsets a test sets."""

    def __init__(self) -> None:
        consumer = FakeConsumer()
        self.overflow = OverflowTopic(OVERFLOW.topic, FakeClock(), StreamMetrics())
        self.assignment = Assignment(consumer, self.overflow)
        consumer.positions = dict.fromkeys((A, B, RETRY, OVERFLOW), 0)
        self.unreadable: set[TopicPartition] = set()
        self.meter = FlowMeter(self.assignment, {"event"}, self.overflow, [self.unreadable])
        self.assign(A, B, RETRY, OVERFLOW)
        self.meter.read()

    def assign(self, *tps: TopicPartition) -> None:
        """Own these, each read from its beginning."""
        self.assignment.assign(tps)
        for tp in set(tps) & self.assignment.waiting:
            self.assignment.begin(tp, Beginning(0, Why.GOES_ON), NOTE)

    def moves(self, tp: TopicPartition, position: int, end: int) -> None:
        """A partition is read to `position` and ends at `end`."""
        self.assignment.trackers[tp].skip_to(position)
        self.assignment.ends[tp] = end


@pytest.fixture
def flow() -> FlowHarness:
    """One that was read once."""
    return FlowHarness()


def test_events_count_as_taken_arrived_and_unread(flow: FlowHarness) -> None:
    """What is read counts as taken, what the ends have grown by as arrived, and the rest waits
    unread.
    """
    flow.moves(A, 30, end=100)
    flow.moves(B, 5, end=5)
    flow.meter.read()
    flow.moves(A, 80, end=120)
    assert flow.meter.read() == Flow(taken=50, arrived=20, deferred=0, unread=40, partitions=2)


def test_readings_between_two_looks_at_the_ends_add_up(flow: FlowHarness) -> None:
    """What arrives is right in the sum, though the ends are older than the positions."""
    flow.moves(A, 40, end=0)
    first = flow.meter.read()
    flow.moves(A, 60, end=100)
    flow.meter.read()
    flow.moves(A, 100, end=100)
    third = flow.meter.read()
    assert (first.arrived, third.arrived, third.unread) == (40, 0, 0)


def test_deferred_records_are_no_events(flow: FlowHarness) -> None:
    """Records that wait in a retry topic or the overflow topic are neither arrived nor unread;
    those that are taken count as deferred.
    """
    flow.moves(RETRY, 7, end=1_000_000)
    flow.assignment.ends[OVERFLOW] = 1_000_000
    flow.overflow.taken("h")
    assert flow.meter.read() == Flow(taken=0, arrived=0, deferred=8, unread=0, partitions=2)


def test_a_partition_that_cannot_be_read_has_nothing_to_do(flow: FlowHarness) -> None:
    """What waits in an unreadable partition, or in one without a position, is no work that could be
    done.
    """
    flow.moves(A, 0, end=100)
    flow.moves(B, 0, end=100)
    flow.unreadable.add(A)
    flow.assignment.suspend(B)
    assert flow.meter.read().unread == 0


def test_a_new_partition_begins_to_count_when_it_comes(flow: FlowHarness) -> None:
    """What waits in a partition that was just assigned is unread, and neither taken nor arrived."""
    flow.assignment.assign([A])
    flow.assignment.revoke([B, RETRY, OVERFLOW])
    flow.meter.read()
    flow.assign(A, B)
    flow.moves(B, 50, end=90)
    assert flow.meter.read() == Flow(taken=0, arrived=0, deferred=0, unread=40, partitions=2)
