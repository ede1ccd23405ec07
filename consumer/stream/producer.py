"""The outbox's Kafka client: an idempotent producer."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, count
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

from consumer.clock import Clock
from consumer.logs import get_logger
from consumer.settings import KafkaSettings
from consumer.stream.batch_builder import BatchBuilder
from consumer.stream.client import connection_options
from consumer.stream.failed_partitions import FailedPartitions
from consumer.stream.outbox import MessageT, Sent
from consumer.stream.partitioner import by_partition
from consumer.stream.publish_errors import BatchTooLargeError, NoLeaderError, TooLargeError
from consumer.stream.tasks import timeout

log = get_logger(__name__)

_CLOSE_TIMEOUT_SECONDS = 5.0
_MAX_REQUEST_BYTES = 16 * 1024 * 1024
"""Headers make a published record larger than the one that was consumed."""
_MAX_BATCH_BYTES = 128 * 1024
"""A partition's batches are sent one after the other, each for a round trip."""


class KafkaProducer:
    """The outbox's `Producer`: idempotent, acknowledged by all in-sync replicas."""

    def __init__(self, settings: KafkaSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()
        self._round_robin: defaultdict[str, Iterator[int]] = defaultdict(count)
        """One counter per topic: from a shared one, two topics could get even and odd numbers."""
        self._failed_partitions = FailedPartitions(lambda: asyncio.get_running_loop().time())
        self._max_batch_records: dict[str, int] = {}
        """Records in a batch, for each topic that does not accept `_MAX_BATCH_BYTES`."""

    async def send(self, topic: str, messages: Sequence[MessageT]) -> Sent[MessageT]:
        """See `outbox.Producer`. Keys decide on partitions, as in Java's client. In our own topics
        records leave a failing partition, to avoid head-of-line blocking: the daemon reads them
        from any partition. In a source a key keeps its partition, since others may rely on it.
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
            round_robin=next(self._round_robin[topic]),
            may_move=topic in self._settings.own_topics,
        )
        packed, now = [], int(self._clock.now() * 1000)
        for partition, its in divided.items():
            most = self._max_batch_records.get(topic, len(its))
            for batch in _pack(its, most, now):
                packed.append((partition, *batch))
                await asyncio.sleep(0)
        # No await from here on: if it were cancelled, tasks without an owner would still send.
        sent: Sent[MessageT] = []
        last: dict[int, asyncio.Future[None]] = {}
        for partition, builder, records in packed:
            if partition not in led and any(each.is_ordered for each in records):
                sent.append((records, _no_leader(producer)))
                continue
            before = last.get(partition)
            if before is not None and not any(each.is_ordered for each in divided[partition]):
                before = None
            deliver = self._deliver(producer, builder, topic, partition, before)
            last[partition] = asyncio.ensure_future(deliver)
            sent.append((records, last[partition]))
        return sent

    async def reset(self) -> None:
        """See `outbox.Producer`."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        # `stop` would wait for records that the broker does not accept; if cancelled, it would
        # leave a sender that writes them later. So close the connections first, which fails the
        # requests in flight, then the sender.
        try:
            async with timeout(_CLOSE_TIMEOUT_SECONDS):
                await producer.client.close()
                await producer._sender.close()  # noqa: SLF001  # no public way
                _give_up(producer._message_accumulator)  # noqa: SLF001
                await producer.stop()
        except (KafkaError, TimeoutError) as error:
            log.debug("producer not closed cleanly", error=repr(error))

    async def _deliver(
        self,
        producer: AIOKafkaProducer,
        builder: BatchBuilder,
        topic: str,
        partition: int,
        before: "asyncio.Future[None] | None",
    ) -> None:
        """Send one batch and wait for its acknowledgement. Its records may not overtake those of
        the batch `before` it, if there is one.
        """
        if before is not None:
            await asyncio.wait([before])
            if before.cancelled() or before.exception() is not None:
                raise KafkaError("the batch before it was not acknowledged")
        if builder.size() > _MAX_REQUEST_BYTES:
            raise TooLargeError
        try:
            await (await producer.send_batch(builder, topic, partition=partition))
            self._failed_partitions.succeeded(topic, partition)
        except (MessageSizeTooLargeError, RecordListTooLargeError):
            records = builder.record_count()
            if records == 1:
                raise TooLargeError from None
            self._max_batch_records[topic] = records // 2
            raise BatchTooLargeError from None
        except (KafkaError, asyncio.CancelledError):  # the outbox cancels at its timeout
            self._failed_partitions.failed(topic, partition)
            raise

    async def _start(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            **connection_options(self._settings),
            acks="all",
            enable_idempotence=True,
            max_request_size=_MAX_REQUEST_BYTES,
        )
        try:
            await producer.start()
        except BaseException:
            await producer.stop()
            raise
        producer._message_accumulator._pending_batches = _PendingBatches()  # noqa: SLF001
        return producer


def _no_leader(producer: AIOKafkaProducer) -> "asyncio.Future[None]":
    """What comes of a batch that must wait for a leader: metadata tell of one once they are new."""
    producer.client.force_metadata_update()
    answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    answer.set_exception(NoLeaderError())
    return answer


def _give_up(accumulator: Any) -> None:
    """Fail every batch of a producer and drop it, without asyncio's "never retrieved" warnings."""
    batches = {*accumulator._pending_batches, *chain(*accumulator._batches.values())}  # noqa: SLF001
    accumulator._pending_batches.update(batches)  # noqa: SLF001
    accumulator._batches.clear()  # noqa: SLF001  # each refers back to the accumulator
    accumulator.fail_all(KafkaError("given up"))
    for batch in batches:
        batch._drain_waiter.exception()  # noqa: SLF001
        if not batch.future.cancelled():
            batch.future.exception()


class _PendingBatches(set[Any]):
    """Sent batches; aiokafka removes a batch that failed and was requeued a second time."""

    remove = set.discard


def _pack(
    messages: Iterable[MessageT], most: int, timestamp: int
) -> Iterator[tuple[BatchBuilder, Sequence[MessageT]]]:
    """Yield batches of up to `most` messages for one partition; an oversized one is alone."""
    builder, batch = BatchBuilder(_MAX_BATCH_BYTES, timestamp), list[MessageT]()
    for message in messages:
        if len(batch) == most or not builder.append(message):
            yield builder, batch
            builder, batch = BatchBuilder(_MAX_BATCH_BYTES, timestamp), []
            builder.append(message)  # the first one always fits
        batch.append(message)
    yield builder, batch
