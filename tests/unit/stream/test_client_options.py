"""The options of the daemon's Kafka clients, each of which prevents a known loss."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaConsumer

from consumer.errors import HookstreamError
from consumer.settings import KafkaSettings
from consumer.stream.client import kafka_timeout, make_consumer
from consumer.stream.give_back import DEFER_BUDGET_SECONDS, DRAIN_BUDGET_SECONDS

COMMIT = 5.0
"""Seconds that the commit of a revocation may take."""


@pytest.fixture
async def consumer() -> AsyncIterator[AIOKafkaConsumer]:
    """As the daemon makes it; never started."""
    consumer = make_consumer(KafkaSettings())
    yield consumer
    await consumer.stop()


def test_the_group_waits_longer_than_a_revocation_takes(consumer: AIOKafkaConsumer) -> None:
    """The group's rebalance time-out is longer than a revocation takes."""
    drain = (DRAIN_BUDGET_SECONDS + DEFER_BUDGET_SECONDS + COMMIT) * 1000
    assert consumer._rebalance_timeout_ms > 2 * drain
    assert consumer._session_timeout_ms < consumer._rebalance_timeout_ms


def test_a_member_that_polls_nothing_stays_one(consumer: AIOKafkaConsumer) -> None:
    """A member that polls nothing, for a day if need be, stays in the group."""
    assert consumer._max_poll_interval_ms >= 24 * 3600 * 1000


def test_nothing_is_committed_or_decoded_behind_our_back(consumer: AIOKafkaConsumer) -> None:
    """The consumer neither commits, decodes nor resets a position by itself, and reads committed
    records only.
    """
    assert not consumer._enable_auto_commit
    assert consumer._key_deserializer is consumer._value_deserializer is None
    assert consumer._auto_offset_reset == "none"
    assert consumer._isolation_level == "read_committed"


async def test_a_wait_that_was_not_cancelled_here_is_an_error_in_words() -> None:
    """A wait that aiokafka cancelled by itself is an error with a message."""
    with pytest.raises(HookstreamError, match="an awaited future was cancelled"):
        async with kafka_timeout(KafkaSettings(), 60.0):
            raise asyncio.CancelledError
