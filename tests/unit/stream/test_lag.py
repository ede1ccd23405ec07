"""Lag, and whether the daemon makes progress: by the broker's word, over any length of time."""

import logging
from collections.abc import Mapping

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import GroupAuthorizationFailedError

from consumer.metrics.stream import StreamMetrics
from consumer.stream.assignment import Assignment
from consumer.stream.lag import LagWatch
from consumer.stream.overflow_topic import OverflowTopic
from consumer.stream.positions import Beginning, CommitNote, Why
from support.fake_consumer import FakeConsumer
from support.fake_view import FakeView
from support.fakes import FakeClock

A, B = TopicPartition("event", 0), TopicPartition("event", 1)
OVERFLOW = TopicPartition("hookstream.overflow", 0)
NOTE = CommitNote("cluster", "event-0", since=0, partitions=2)


class _Ends(FakeView):
    """A view in which logs end where the test says."""

    def __init__(self) -> None:
        super().__init__(FakeConsumer())
        self.ends = {A: 0, B: 0}

    async def offsets(
        self, times: Mapping[TopicPartition, int], isolation: int
    ) -> Mapping[TopicPartition, int]:
        """See `View`."""
        answered = await super().offsets(times, isolation)
        return {tp: self.ends[tp] for tp in answered}


class Broker:
    """What the watch asks, and what intake knows."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.view = _Ends()
        self.held: set[TopicPartition] = set()
        self.view.consumer.positions = {A: 0, B: 0}
        overflow = OverflowTopic(OVERFLOW.topic, self.clock, StreamMetrics())
        self.assignment = Assignment(self.view.consumer, overflow)
        self.assignment.assign([A, B])
        for tp in (A, B):
            self.assignment.begin(tp, Beginning(0, Why.GOES_ON), NOTE)
        self.watch = LagWatch(self.view, self.assignment, self.held.__contains__, self.clock)

    def settle(self, tp: TopicPartition, offset: int) -> None:
        """Everything before `offset` is settled."""
        self.assignment.trackers[tp].skip_to(offset)

    async def later(self, seconds: float) -> float:
        """Look again after so long; for how long nothing has moved, by then."""
        self.clock.advance(seconds)
        await self.watch.check()
        return self.watch.stalled_for


@pytest.fixture
async def broker() -> Broker:
    """One that was looked at, with ten records in A, of which four are settled."""
    broker = Broker()
    broker.view.ends[A] = 10
    broker.settle(A, 4)
    await broker.watch.check()
    return broker


async def test_lag_is_the_distance_from_the_settled_prefix_to_the_end(broker: Broker) -> None:
    """Lag is the distance from the settled prefix to the end, for partitions without a received
    record too.
    """
    assert broker.watch.lag() == {("event", 0): 6, ("event", 1): 0}


async def test_events_that_wait_while_nothing_settles_are_a_stall(broker: Broker) -> None:
    """Events that wait while nothing settles and the broker answers are a stall."""
    assert await broker.later(200) == 200
    assert await broker.later(200) == 400


async def test_one_settled_event_ends_a_stall(broker: Broker) -> None:
    """One settled event ends a stall."""
    await broker.later(200)
    broker.settle(A, 5)
    assert await broker.later(200) == 0
    assert await broker.later(200) == 200


async def test_nothing_to_do_is_no_stall(broker: Broker) -> None:
    """Without lag there is no stall."""
    broker.settle(A, 10)
    assert await broker.later(86_400) == 0


async def test_another_partitions_progress_hides_no_stall_for_ever(broker: Broker) -> None:
    """Progress in one partition does not hide for ever that the lag in both stays."""
    broker.view.ends[B] = 10_000
    for settled in (1, 2, 3):
        broker.settle(B, settled)
        assert await broker.later(200) == 0
    assert await broker.later(400) == 400


async def test_what_waits_on_purpose_is_no_stall(broker: Broker) -> None:
    """A retry topic whose records are not due is no stall."""
    broker.held.add(A)
    assert await broker.later(3_600) == 0


async def test_a_broker_that_is_away_is_no_stall(broker: Broker) -> None:
    """A broker that is away is no stall, and the daemon is not ready."""
    broker.view.mute = True
    assert await broker.later(3_600) == 0
    assert not broker.watch.reachable
    assert await broker.later(60) == 0
    assert broker.watch.unreachable_for == 3_660
    broker.view.mute = False
    assert await broker.later(5) == 5
    assert broker.watch.reachable
    assert broker.watch.unreachable_for == 0


async def test_a_refusal_by_the_group_is_not_the_watchs_to_tell(broker: Broker) -> None:
    """A refusal by the group is not reported by the lag watch, since intake reports it."""
    broker.view.refusal = GroupAuthorizationFailedError("hookstream")
    assert await broker.later(5) == 5
    assert broker.watch.reachable


async def test_a_partition_without_a_leader_is_told_and_is_no_stall(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    """A partition without a leader is reported and is no stall, and the lag of the others is
    known.
    """
    caplog.set_level(logging.INFO)
    broker.view.away.add(A)
    broker.view.ends[B] = 3
    assert await broker.later(3_600) == 3_600
    broker.settle(B, 3)
    assert await broker.later(3_600) == 0
    assert (broker.watch.reachable, broker.watch.waiting) == (True, 1)
    assert broker.watch.lag() == {("event", 0): 6, ("event", 1): 0}
    broker.view.away.clear()
    await broker.watch.check()
    assert broker.watch.waiting == 0
    assert [r.getMessage() for r in caplog.records] == [
        "partitions wait for a leader that answers",
        "partitions are read again",
    ]


async def test_partitions_that_all_wait_do_not_make_the_broker_unreachable(broker: Broker) -> None:
    """A broker counts as reachable even if every partition waits for a leader."""
    broker.view.away |= {A, B}
    await broker.later(5)
    assert (broker.watch.reachable, broker.watch.waiting) == (True, 2)


async def test_what_has_no_position_yet_has_no_lag(broker: Broker) -> None:
    """A partition without a position has no lag."""
    broker.assignment.revoke([A, B])
    broker.assignment.assign([A, B])
    await broker.later(5)
    assert broker.watch.lag() == {}
    assert broker.watch.stalled_for == 0
