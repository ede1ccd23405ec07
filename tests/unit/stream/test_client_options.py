"""How the daemon's Kafka clients are set: each option here cost others their data."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaConsumer

from consumer.errors import HookstreamError
from consumer.settings import KafkaSettings
from consumer.stream.client import kafka_timeout, make_consumer
from consumer.stream.intake import DEFER_BUDGET_SECONDS, DRAIN_BUDGET_SECONDS

COMMIT = 5.0
"""Seconds that the commit of a revocation may take."""


@pytest.fixture
async def consumer() -> AsyncIterator[AIOKafkaConsumer]:
    """As the daemon makes it; never started."""
    consumer = make_consumer(KafkaSettings())
    yield consumer
    await consumer.stop()


def test_the_group_waits_longer_than_a_revocation_takes(consumer: AIOKafkaConsumer) -> None:
    """Else a member that drains would be thrown out, and its commit refused."""
    drain = (DRAIN_BUDGET_SECONDS + DEFER_BUDGET_SECONDS + COMMIT) * 1000
    assert consumer._rebalance_timeout_ms > 2 * drain
    assert consumer._session_timeout_ms < consumer._rebalance_timeout_ms


def test_a_member_that_polls_nothing_stays_one(consumer: AIOKafkaConsumer) -> None:
    """While the broker takes no hand-over nothing is polled, for a day if need be."""
    assert consumer._max_poll_interval_ms >= 24 * 3600 * 1000


def test_nothing_is_committed_or_decoded_behind_our_back(consumer: AIOKafkaConsumer) -> None:
    """No position is set or reset behind our back, either; aborted transactions never happened."""
    assert not consumer._enable_auto_commit
    assert consumer._key_deserializer is consumer._value_deserializer is None
    assert consumer._auto_offset_reset == "none"
    assert consumer._isolation_level == "read_committed"


async def test_a_wait_that_nobody_cancelled_is_an_error_in_words() -> None:
    """Else a command would end as if somebody had stopped it."""
    with pytest.raises(HookstreamError, match="an awaited future was cancelled"):
        async with kafka_timeout(KafkaSettings(), 60.0):
            raise asyncio.CancelledError
