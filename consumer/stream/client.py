"""Kafka clients as this daemon wants them: the only place that knows aiokafka's options."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import chain, count
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
)

from consumer.errors import HookstreamError
from consumer.logs import get_logger
from consumer.settings import KafkaSettings
from consumer.stream.cluster_client import install_cluster_client
from consumer.stream.cluster_identity import BootstrapServers
from consumer.stream.failed_partitions import FailedPartitions
from consumer.stream.fetches import (
    ANSWER_BYTES,
    PARTITION_BYTES,
    bound_fetches,
    free_dropped_fetches,
)
from consumer.stream.kafka_errors import REFUSALS, refusal, unreachable
from consumer.stream.odd_records import RawNamesBatch, read_odd_records
from consumer.stream.outbox import BatchTooLargeError, MessageT, Sent, TooLargeError
from consumer.stream.partitioner import by_partition
from consumer.stream.tasks import within
from consumer.stream.tls import tls_files

install_cluster_client()
free_dropped_fetches()
read_odd_records()
log = get_logger(__name__)

CLIENT_ID = "hookstream"
REBALANCE_TIMEOUT = 60.0
"""Seconds that the group waits for its members: more than a revocation drains and parks."""
SESSION_TIMEOUT = 10.0
"""Seconds without a heartbeat after which the group gives a member's partitions to others."""
HEARTBEAT_INTERVAL = 3.0
_METADATA_AGE = 30.0
"""Seconds after which partitions that were added to a topic are noticed."""
_NEVER = 7 * 24 * 3600
"""Seconds. How long no poll may pass is ours to judge (`/healthz`): while the broker takes no
hand-over nothing is polled, and leaving the group would help nobody."""
_CLOSE_TIMEOUT = 5.0
_MAX_REQUEST = 16 * 1024 * 1024
"""Bytes. Headers make a handed-over record larger than the one that was consumed."""
_MAX_BATCH = 64 * 1024
"""Bytes. A partition's batches go one after the other, each for a round trip."""


def connection_options(settings: KafkaSettings) -> dict[str, Any]:
    """What every client needs to reach the cluster."""
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


class _Member(AIOKafkaConsumer):  # type: ignore[misc]  # aiokafka has no types
    """A consumer whose fetched records take a bounded memory."""

    async def start(self) -> None:
        await super().start()
        bound_fetches(self._fetcher)


def make_consumer(settings: KafkaSettings) -> AIOKafkaConsumer:
    """A group member that commits nothing by itself and hands out raw bytes.

    Where it reads is ours to decide (`stream/placement.py`): aiokafka would reset a position in
    silence. Records of aborted transactions never happened.
    """
    return _Member(
        **connection_options(settings),
        group_id=settings.group_id,
        enable_auto_commit=False,
        auto_offset_reset="none",
        isolation_level="read_committed",
        metadata_max_age_ms=int(_METADATA_AGE * 1000),
        session_timeout_ms=int(SESSION_TIMEOUT * 1000),
        heartbeat_interval_ms=int(HEARTBEAT_INTERVAL * 1000),
        rebalance_timeout_ms=int(REBALANCE_TIMEOUT * 1000),
        max_poll_interval_ms=_NEVER * 1000,
        max_partition_fetch_bytes=PARTITION_BYTES,
        fetch_max_bytes=ANSWER_BYTES,
    )


def make_reader(settings: KafkaSettings, group: str | None) -> AIOKafkaConsumer:
    """A consumer that is given its partitions and joins nobody; `group` only keeps offsets."""
    return AIOKafkaConsumer(
        **connection_options(settings),
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
    )


@asynccontextmanager
async def translate_errors(settings: KafkaSettings) -> AsyncIterator[None]:
    """What fails in the block is raised as `HookstreamError`, for people."""
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
    """The same, for questions that the cluster answers in time or not at all."""
    try:
        async with translate_errors(settings), within(seconds):
            yield
    except TimeoutError as error:
        servers = ", ".join(settings.bootstrap_servers)
        raise HookstreamError(
            f"the Kafka broker at {servers} did not answer within {seconds:.0f} s: "
            "check that it is healthy, and kafka.security_protocol"
        ) from error


class KafkaProducer:
    """The `Producer` of the hand-over: idempotent, acknowledged by all in-sync replicas."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()
        self._turns: defaultdict[str, Iterator[int]] = defaultdict(count)
        """By topic: of one count, topics sent to in turn would get the even and the odd numbers."""
        self._failed_partitions = FailedPartitions(lambda: asyncio.get_running_loop().time())
        self._most: dict[str, int] = {}
        """Records in a batch, for each topic that does not take `_MAX_BATCH`."""

    async def send(self, topic: str, messages: Sequence[MessageT]) -> Sent[MessageT]:
        """See `handover.Producer`. The keys decide on the partitions, as in Java's client; but one
        partition that takes nothing must not hold back all that is handed over, and our own records
        are read wherever they are. In a source a key keeps its partition: others may rely on it.
        """
        async with self._starting:
            if self._producer is None:
                self._producer = await self._start()
            producer = self._producer
        partitions = sorted(await producer.partitions_for(topic))
        led = sorted(producer.client.cluster.available_partitions_for_topic(topic))
        divided = by_partition(
            messages,
            partitions,
            self._failed_partitions.usable(topic, led),
            turn=next(self._turns[topic]),
            may_move=topic in self._settings.own_topics,
        )
        packed = []
        for partition, its in divided.items():
            for batch in _pack(producer, its, self._most.get(topic, len(its))):
                packed.append((partition, *batch))
                await asyncio.sleep(0)
        # From here on without a break: a task that nobody knows of would send what is given up.
        return [
            (batch, asyncio.ensure_future(self._deliver(producer, builder, topic, partition)))
            for partition, builder, batch in packed
        ]

    async def reset(self) -> None:
        """See `handover.Producer`."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        # `stop` would wait for records that the broker does not take; cut short, it would leave
        # a sender that writes them later. So the connections go first, what is under way fails
        # with them, and when the sender has ended, so does all that waited for it.
        try:
            async with within(_CLOSE_TIMEOUT):
                await producer.client.close()
                await producer._sender.close()  # noqa: SLF001  # no public way
                _give_up(producer._message_accumulator)  # noqa: SLF001
                await producer.stop()
        except (KafkaError, TimeoutError) as error:
            log.debug("producer not closed cleanly", error=repr(error))

    async def _deliver(
        self, producer: AIOKafkaProducer, builder: Any, topic: str, partition: int
    ) -> None:
        """Send one batch and wait until the broker has it."""
        if builder.size() > _MAX_REQUEST:
            raise TooLargeError
        builder.close()
        try:
            await (await producer.send_batch(builder, topic, partition=partition))
            self._failed_partitions.succeeded(topic, partition)
        except (MessageSizeTooLargeError, RecordListTooLargeError):
            records = builder.record_count()
            if records == 1:
                raise TooLargeError from None
            self._most[topic] = records // 2
            raise BatchTooLargeError from None
        except (KafkaError, asyncio.CancelledError):  # by the hand-over, when its time is up
            self._failed_partitions.failed(topic, partition)
            raise

    async def _start(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            **connection_options(self._settings),
            acks="all",
            enable_idempotence=True,
            max_request_size=_MAX_REQUEST,
            max_batch_size=_MAX_BATCH,
        )
        try:
            await producer.start()
        except BaseException:
            await producer.stop()
            raise
        producer._message_accumulator._pending_batches = _PendingBatches()  # noqa: SLF001
        return producer


def _give_up(accumulator: Any) -> None:
    """Fail every batch of a producer and let go of it. No error if it was waited for by none."""
    batches = {*accumulator._pending_batches, *chain(*accumulator._batches.values())}  # noqa: SLF001
    accumulator._pending_batches.update(batches)  # noqa: SLF001
    accumulator._batches.clear()  # noqa: SLF001  # each refers back to the accumulator
    accumulator.fail_all(KafkaError("given up"))
    for batch in batches:
        batch._drain_waiter.exception()  # noqa: SLF001
        if not batch.future.cancelled():
            batch.future.exception()


class _PendingBatches(set[Any]):
    """A producer's batches that are sent. One that failed is queued again and is none of them, but
    aiokafka takes it out once more when its future is done.
    """

    remove = set.discard


def _pack(
    producer: AIOKafkaProducer, messages: Iterable[MessageT], most: int
) -> Iterator[tuple[Any, Sequence[MessageT]]]:
    """Batches for one partition, of `most` messages; one that is too large for a batch is alone."""
    builder, batch = producer.create_batch(), list[MessageT]()
    for message in messages:
        if batch and (len(batch) == most or not _append(builder, message)):
            yield builder, batch
            builder, batch = producer.create_batch(), []
        if not batch and not _append(builder, message):  # else the first one always fits
            builder = RawNamesBatch(_MAX_BATCH)
            _append(builder, message)
        batch.append(message)
    yield builder, batch


def _append(builder: Any, message: MessageT) -> bool:
    try:
        added = builder.append(
            timestamp=None, key=message.key, value=message.value, headers=message.headers
        )
    except TypeError:
        return False  # a header name that is not UTF-8, for which it takes another builder
    return added is not None
