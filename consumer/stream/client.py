"""Kafka clients with this daemon's options: connections, consumers, errors."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaError
from aiokafka.util import commit_structure_validate

from consumer.clock import SystemClock
from consumer.errors import HookstreamError
from consumer.settings import KafkaSettings
from consumer.stream.assignor import CooperativeAssignor
from consumer.stream.cluster_client import install_cluster_client
from consumer.stream.cluster_identity import BootstrapServers
from consumer.stream.fetches import (
    ANSWER_BYTES,
    PARTITION_BYTES,
    bound_fetches,
    free_dropped_fetches,
)
from consumer.stream.kafka_errors import REFUSALS, refusal, unreachable
from consumer.stream.odd_records import read_odd_records
from consumer.stream.tasks import timeout
from consumer.stream.tls import tls_files

install_cluster_client()
free_dropped_fetches()
read_odd_records()

CLIENT_ID = "hookstream"
REBALANCE_TIMEOUT_SECONDS = 60.0
"""How long the group waits for its members: more than a new subscription takes to give back."""
SESSION_TIMEOUT_SECONDS = 10.0
"""Time without a heartbeat after which the group gives a member's partitions to others."""
HEARTBEAT_INTERVAL_SECONDS = 0.3
"""Between two heartbeats, by whose answers a member notices a rebalance: until then it does not
join, and all others wait for it."""
_METADATA_MAX_AGE_SECONDS = 30.0
"""Added partitions are noticed within this time."""
_MAX_POLL_INTERVAL_SECONDS = 7 * 24 * 3600
"""In effect unlimited: `/healthz` judges a stalled intake. While the broker accepts no retries and
dead letters nothing is polled, and leaving the group would not help."""


def connection_options(settings: KafkaSettings) -> dict[str, Any]:
    """Options that every client needs to connect to the cluster."""
    options: dict[str, Any] = {
        "bootstrap_servers": BootstrapServers(settings.bootstrap_servers),
        "client_id": CLIENT_ID,
        "security_protocol": settings.security_protocol,
    }
    if settings.security_protocol.endswith("SSL"):
        options["ssl_context"] = tls_files(settings)
    if settings.security_protocol.startswith("SASL"):
        password = settings.sasl_password
        options["sasl_mechanism"] = settings.sasl_mechanism
        options["sasl_plain_username"] = settings.sasl_username
        options["sasl_plain_password"] = password.get_secret_value() if password else None
    return options


class _GroupMember(AIOKafkaConsumer):  # type: ignore[misc]  # aiokafka has no types
    """A consumer with bounded memory for fetched records, and an assignor of its own."""

    def __init__(self, is_patient: Callable[[str], bool], **options: Any) -> None:
        """`is_patient`: see `bound_fetches`; the rest are aiokafka's."""
        self._is_patient = is_patient
        self.assignor = CooperativeAssignor()
        self.is_urgent = False
        """Whether the position of a partition will soon be set; see `bound_fetches`."""
        super().__init__(**options, partition_assignment_strategy=(self.assignor,))

    async def start(self) -> None:
        await super().start()
        bound_fetches(self._fetcher, lambda: self.is_urgent, self._is_patient, SystemClock())

    async def commit(self, offsets: Mapping[TopicPartition, tuple[int, str]]) -> None:
        """Commit for owned partitions: `super` refuses those that are not assigned any more."""
        await self._coordinator.commit_offsets(None, commit_structure_validate(offsets))


def make_consumer(settings: KafkaSettings) -> AIOKafkaConsumer:
    """Make a group member that returns raw bytes and commits nothing by itself.

    `stream/placement.py` sets the positions: aiokafka would reset one silently. Records of aborted
    transactions are not read.
    """
    return _GroupMember(
        settings.own_topics.__contains__,
        **connection_options(settings),
        group_id=settings.group_id,
        enable_auto_commit=False,
        auto_offset_reset="none",
        isolation_level="read_committed",
        metadata_max_age_ms=int(_METADATA_MAX_AGE_SECONDS * 1000),
        session_timeout_ms=int(SESSION_TIMEOUT_SECONDS * 1000),
        heartbeat_interval_ms=int(HEARTBEAT_INTERVAL_SECONDS * 1000),
        rebalance_timeout_ms=int(REBALANCE_TIMEOUT_SECONDS * 1000),
        max_poll_interval_ms=_MAX_POLL_INTERVAL_SECONDS * 1000,
        max_partition_fetch_bytes=PARTITION_BYTES,
        fetch_max_bytes=ANSWER_BYTES,
    )


def make_reader(settings: KafkaSettings, group: str | None) -> AIOKafkaConsumer:
    """Make a consumer that joins no group and is assigned by hand; `group` only stores offsets."""
    return AIOKafkaConsumer(
        **connection_options(settings),
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
    )


@asynccontextmanager
async def translate_errors(settings: KafkaSettings) -> AsyncIterator[None]:
    """Raise a `KafkaError` of the block as `HookstreamError` with a message for users."""
    try:
        yield
    except KafkaConnectionError as error:
        raise HookstreamError(unreachable(error, settings)) from error
    except REFUSALS as error:
        raise HookstreamError(refusal(error)) from error
    except KafkaError as error:
        servers = ", ".join(settings.bootstrap_servers)
        raise HookstreamError(f"the Kafka broker at {servers} failed: {error!r}") from error


@asynccontextmanager
async def kafka_timeout(settings: KafkaSettings, seconds: float) -> AsyncIterator[None]:
    """Raise a `KafkaError` or a timeout after `seconds` as `HookstreamError`."""
    try:
        async with translate_errors(settings), timeout(seconds):
            yield
    except TimeoutError as error:
        servers = ", ".join(settings.bootstrap_servers)
        raise HookstreamError(
            f"the Kafka broker at {servers} did not answer within {seconds:.0f} s: "
            "check that it is healthy, and kafka.security_protocol"
        ) from error
