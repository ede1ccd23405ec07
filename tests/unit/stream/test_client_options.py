"""How the daemon's Kafka clients are set: each option here cost others their data."""

from consumer.settings import KafkaSettings
from consumer.stream.client import make_consumer
from consumer.stream.intake import DRAIN_BUDGET, PARK_BUDGET

COMMIT = 5.0
"""Seconds that the commit of a revocation may take."""


async def test_the_group_waits_longer_than_a_revocation_takes() -> None:
    """Else a member that drains would be thrown out, and its commit refused."""
    consumer = make_consumer(KafkaSettings())
    drain = (DRAIN_BUDGET + PARK_BUDGET + COMMIT) * 1000
    assert consumer._rebalance_timeout_ms > 2 * drain
    assert consumer._session_timeout_ms < consumer._rebalance_timeout_ms


async def test_a_member_that_polls_nothing_stays_one() -> None:
    """While the broker takes no hand-over nothing is polled, for a day if need be."""
    consumer = make_consumer(KafkaSettings())
    assert consumer._max_poll_interval_ms >= 24 * 3600 * 1000


async def test_nothing_is_committed_or_decoded_behind_our_back() -> None:
    """And a new group begins with the oldest record; aborted transactions never happened."""
    consumer = make_consumer(KafkaSettings())
    assert not consumer._enable_auto_commit
    assert consumer._key_deserializer is consumer._value_deserializer is None
    assert consumer._auto_offset_reset == "earliest"
    assert consumer._isolation_level == "read_committed"
