"""Lag, and whether the daemon moves: by the broker's word, over any length of time."""

import asyncio
from collections.abc import Collection

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import GroupAuthorizationFailedError, KafkaConnectionError, KafkaError

from consumer.stream.lag import LagWatch
from support.fakes import FakeClock

A, B = TopicPartition("event", 0), TopicPartition("event", 1)


class Broker:
    """The consumer as far as the watch asks it, and what intake knows."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.ends = {A: 0, B: 0}
        self.settled: dict[TopicPartition, int] = {}
        self.held: set[TopicPartition] = set()
        self.error: BaseException | None = None
        self.refusal: KafkaError | None = None
        """What the group has against this member: told to who next asks for a position."""
        self.watch = LagWatch(self, self.settled.get, self.held.__contains__, self.clock)

    def assignment(self) -> set[TopicPartition]:
        """Both."""
        return set(self.ends)

    async def end_offsets(self, _places: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """As the test set them."""
        if self.error is not None:
            raise self.error
        return dict(self.ends)

    async def position(self, _place: TopicPartition) -> int:
        """Nothing was read where nothing was received."""
        if self.refusal is not None:
            raise self.refusal
        return 0

    async def later(self, seconds: float) -> float:
        """Look again after so long; for how long nothing has moved, by then."""
        self.clock.advance(seconds)
        await self.watch.look()
        return self.watch.stalled_for


@pytest.fixture
async def broker() -> Broker:
    """One that was looked at, with ten records in A, of which four are settled."""
    broker = Broker()
    broker.ends[A], broker.settled[A] = 10, 4
    await broker.watch.look()
    return broker


async def test_lag_is_the_distance_from_the_settled_prefix_to_the_end(broker: Broker) -> None:
    """Also of a partition that nothing was received from."""
    assert broker.watch.lag() == {("event", 0): 6, ("event", 1): 0}


async def test_events_that_wait_while_nothing_settles_are_a_stall(broker: Broker) -> None:
    """Though the broker answers: this is what `/healthz` fails for in the end."""
    assert await broker.later(200) == 200
    assert await broker.later(200) == 400


async def test_one_settled_event_ends_a_stall(broker: Broker) -> None:
    """Slow is not stuck."""
    await broker.later(200)
    broker.settled[A] += 1
    assert await broker.later(200) == 0
    assert await broker.later(200) == 200


async def test_nothing_to_do_is_no_stall(broker: Broker) -> None:
    """A quiet day."""
    broker.settled[A] = 10
    assert await broker.later(86_400) == 0


async def test_another_partitions_progress_hides_no_stall_for_ever(broker: Broker) -> None:
    """What is behind in both must move in one of them."""
    broker.ends[B] = 10_000
    for _ in range(3):
        broker.settled[B] = broker.settled.get(B, 0) + 1
        assert await broker.later(200) == 0
    assert await broker.later(400) == 400


async def test_what_waits_on_purpose_is_no_stall(broker: Broker) -> None:
    """A retry lane whose records are not due."""
    broker.held.add(A)
    assert await broker.later(3_600) == 0


@pytest.mark.parametrize("error", [KafkaConnectionError("away"), asyncio.CancelledError()])
async def test_a_broker_that_is_away_is_no_stall(broker: Broker, error: BaseException) -> None:
    """Who cannot move is not stuck, and a restart would not help; but it is no longer ready.

    So it is where the client cancels what the watch waits for: the watch goes on.
    """
    broker.error = error
    assert await broker.later(3_600) == 0
    assert not broker.watch.reachable
    assert await broker.later(60) == 0
    assert broker.watch.unreachable_for == 3_660
    broker.error = None
    assert await broker.later(5) == 5
    assert broker.watch.reachable
    assert broker.watch.unreachable_for == 0


async def test_a_refusal_by_the_group_is_not_the_watchs_to_tell(broker: Broker) -> None:
    """Aiokafka tells it to whoever asks first; intake hears it again, and says it in words."""
    broker.refusal = GroupAuthorizationFailedError("hookstream")
    assert await broker.later(5) == 5
    assert broker.watch.reachable
