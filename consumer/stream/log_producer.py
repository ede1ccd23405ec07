"""Writes records to several topics at once, all or none of them: one transaction for each write."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, zip_longest
from typing import Any, Final, NamedTuple

from aiokafka import TopicPartition
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    DuplicateSequenceNumber,
    IncompatibleBrokerVersion,
    InvalidTimestampError,
    KafkaError,
    LeaderNotAvailableError,
    MessageSizeTooLargeError,
    NotLeaderForPartitionError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.protocol.produce import ProduceRequest

from consumer.errors import HookstreamError
from consumer.logs import get_logger
from consumer.settings import KafkaSettings
from consumer.stream.batch_builder import BatchPacker, LogRecord, TimedBatch
from consumer.stream.committed import is_committed
from consumer.stream.partition_log import PartitionLog
from consumer.stream.topics import describe_topics
from consumer.stream.transaction_requests import ProducerId, TransactionRequests

log = get_logger(__name__)

WRITE_TIMEOUT_SECONDS: Final = 5.0
"""Bound for all steps of a write but the commit."""
COMMIT_TIMEOUT_SECONDS: Final = 5.0
TRANSACTION_TIMEOUT_SECONDS: Final = 6.0
"""A killed process holds up readers for so long, and until the broker looks (ten seconds)."""
_ANSWER_TIMEOUT_SECONDS: Final = 4.0
_BATCH_BYTES: Final = 512 * 1024
"""Below the usual `max.message.bytes`."""
_MIN_BATCH_BYTES: Final = 1024
_RECORDS_AT_ONCE: Final = 1_000
"""Records that are packed before other work of the process goes on."""
_ALL_REPLICAS: Final = -1
_MAX_SEQUENCE: Final = 2**31 - 1
"""The number after it is 0 (Kafka's `DefaultRecordBatch.incrementSequence`)."""
_NO_PRODUCER: Final = ProducerId(-1, -1)
_MOVED = (NotLeaderForPartitionError, UnknownTopicOrPartitionError, LeaderNotAvailableError)
_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)
_NO_TRANSACTIONS = (
    TransactionalIdAuthorizationFailed,
    ClusterAuthorizationFailedError,
    IncompatibleBrokerVersion,
)


class UnwritableError(HookstreamError):
    """A topic does not exist, may not be seen, or takes no record."""


_UNWRITABLE = (UnwritableError, TopicAuthorizationFailedError, InvalidTimestampError)
"""A time is invalid if this machine's clock is hours ahead of the broker's."""


class _InDoubt(NamedTuple):
    """A transaction whose commit was not confirmed."""

    records: Sequence[LogRecord]
    tp: TopicPartition
    offset: int
    """Of one of its records: it is there if all are."""


class LogProducer:
    """`write` after `write`, from one task. A client of its own, which nothing else waits for.

    A user without the right to transactions, or a cluster without them, gets plain writes, in the
    order of the records' topics: after a failure some records may be there twice or be missing.
    """

    def __init__(self, settings: KafkaSettings, transactional_id: str) -> None:
        self._requests = TransactionRequests(
            settings, transactional_id, TRANSACTION_TIMEOUT_SECONDS
        )
        self._leaders: dict[str, list[int]] = {}
        """By topic, the leader of each partition."""
        self._sequences: dict[TopicPartition, int] = {}
        self._producer: ProducerId | None = None
        self._in_doubt: _InDoubt | None = None
        self._batch_bytes = _BATCH_BYTES
        self.has_transactions = True

    async def write(self, records: Sequence[LogRecord]) -> None:
        """Write all records, or none. After any error call it again with the same records: if they
        were written, that is found out.

        Raises:
            UnwritableError: they cannot be written, whatever is tried.
            HookstreamError: they were not written, or that is not known.
        """
        try:
            async with self._requests.certain("take the log", WRITE_TIMEOUT_SECONDS):
                if await self._is_done(records):
                    return
                packed = await self._pack(records)
                first = await self._send(packed)
            if self.has_transactions:
                await self._commit(records, first)
        except BaseException as error:
            self._producer = None  # the next write begins anew, which ends this transaction
            self._leaders.clear()
            cause = error.__cause__
            if self.has_transactions and isinstance(cause, _NO_TRANSACTIONS):
                self._do_without(error)
            if isinstance(cause, _UNWRITABLE):
                raise UnwritableError(str(error)) from error
            raise

    async def close(self) -> None:
        """Close the connections."""
        await self._requests.close()

    def _do_without(self, error: BaseException) -> None:
        self.has_transactions = False
        self._in_doubt = None
        log.warning(
            "the delivery log and the reports are written without transactions: after a crash or a "
            "failure of Kafka the two may differ by the last seconds, or hold records twice",
            error=str(error),
        )

    async def _is_done(self, records: Sequence[LogRecord]) -> bool:
        """Prepare a write; returns whether the one before, of the same records, was committed."""
        topics = dict.fromkeys(record.topic for record in records)
        missing = [topic for topic in topics if topic not in self._leaders]
        if missing:
            await self._find(missing)
        if self._producer is not None:
            return False
        self._sequences.clear()
        if not self.has_transactions:
            self._producer = _NO_PRODUCER
            return False
        requests = self._requests
        await requests.repeat(requests.initialise)
        doubt, was_written = self._in_doubt, False
        if doubt is not None and doubt.records is records:
            was_written = await self._is_there(doubt.tp, doubt.offset)
        self._in_doubt = None
        self._producer = requests.producer
        return was_written

    async def _find(self, topics: Iterable[str]) -> None:
        client = await self._requests.connect()
        found = await describe_topics(client, list(topics))
        for topic in topics:
            partitions = found.get(topic, {}).get("partitions")
            if not partitions:
                raise UnwritableError(
                    f"the topic {topic} does not exist, or this user may not see it"
                )
            by_number = {one["partition"]: one["leader"] for one in partitions}
            if min(by_number.values()) < 0:
                raise LeaderNotAvailableError(topic)
            self._leaders[topic] = [by_number[number] for number in sorted(by_number)]

    async def _pack(self, records: Sequence[LogRecord]) -> dict[TopicPartition, list[TimedBatch]]:
        partitions = {topic: len(leaders) for topic, leaders in self._leaders.items()}
        packer = BatchPacker(self._batch_bytes, partitions)
        for start in range(0, len(records), _RECORDS_AT_ONCE):
            packer.add(records, start, start + _RECORDS_AT_ONCE)
            await asyncio.sleep(0)
        return {TopicPartition(*tp): batches for tp, batches in packer.batches.items()}

    async def _send(
        self, packed: Mapping[TopicPartition, Sequence[TimedBatch]]
    ) -> tuple[TopicPartition, int] | None:
        """Send all batches; returns a record of them by its place."""
        if self.has_transactions:
            partitions = defaultdict[str, list[int]](list)
            for topic, number in packed:
                partitions[topic].append(number)
            await self._requests.repeat(lambda: self._requests.add(partitions))
            rounds: Iterable[dict[TopicPartition, TimedBatch]]
            rounds = _rounds(packed)
        else:
            topics = dict.fromkeys(tp.topic for tp in packed)
            rounds = chain.from_iterable(
                _rounds({tp: its for tp, its in packed.items() if tp.topic == topic})
                for topic in topics
            )
        firsts: dict[TopicPartition, int] = {}
        for batches in rounds:
            built = {tp: self._build(tp, batch) for tp, batch in batches.items()}
            for tp, offset in (await self._produce_all(built)).items():
                if offset >= 0:  # of a batch that was taken before
                    firsts.setdefault(tp, offset)
        return next(iter(firsts.items()), None)

    def _build(self, tp: TopicPartition, batch: TimedBatch) -> bytes:
        producer = self._producer or _NO_PRODUCER
        sequence = self._sequences.get(tp, 0)
        self._sequences[tp] = (sequence + batch.count) & _MAX_SEQUENCE
        return batch.build(*producer, sequence if producer is not _NO_PRODUCER else -1)

    async def _produce_all(
        self, batches: Mapping[TopicPartition, bytes]
    ) -> dict[TopicPartition, int]:
        """Send a batch to each partition; returns the offsets."""
        by_leader = defaultdict[int, dict[TopicPartition, bytes]](dict)
        for tp, batch in batches.items():
            by_leader[self._leaders[tp.topic][tp.partition]][tp] = batch
        sent = await asyncio.gather(*(self._produce(*one) for one in by_leader.items()))
        return {tp: offset for answer in sent for tp, offset in answer.items()}

    async def _produce(
        self, leader: int, batches: Mapping[TopicPartition, bytes]
    ) -> dict[TopicPartition, int]:
        topics = defaultdict[str, list[tuple[int, bytes]]](list)
        for tp, batch in batches.items():
            topics[tp.topic].append((tp.partition, batch))
        wait_ms = round(_ANSWER_TIMEOUT_SECONDS * 1000)
        transactional_id = self._requests.id if self.has_transactions else None
        request = ProduceRequest(transactional_id, _ALL_REPLICAS, wait_ms, list(topics.items()))

        async def ask() -> Any:
            client = await self._requests.connect()
            answer = await client.send(leader, request)
            found = {}
            for topic, results in answer.topics:
                for partition, code, offset, *_ in results:
                    error = for_code(code)
                    if code and error is not DuplicateSequenceNumber:
                        raise self._refusal(error, topic)
                    found[TopicPartition(topic, partition)] = offset
            return found

        found: dict[TopicPartition, int] = await self._requests.repeat(ask)
        return found

    def _refusal(self, error: Any, topic: str) -> Any:
        if issubclass(error, _MOVED):
            return KafkaError(f"{topic}: {error.__name__}")  # the next write finds the leaders
        if not issubclass(error, _TOO_LARGE):
            return error(topic)
        if self._batch_bytes == _MIN_BATCH_BYTES:
            return UnwritableError(
                f"the topic {topic} takes no records of {_MIN_BATCH_BYTES} bytes"
            )
        self._batch_bytes = max(_MIN_BATCH_BYTES, self._batch_bytes // 2)
        return KafkaError(f"{topic}: smaller batches are needed")

    async def _commit(
        self, records: Sequence[LogRecord], first: tuple[TopicPartition, int] | None
    ) -> None:
        self._in_doubt = _InDoubt(records, *first) if first is not None else None
        await self._requests.commit(COMMIT_TIMEOUT_SECONDS)
        self._in_doubt = None

    async def _is_there(self, tp: TopicPartition, offset: int) -> bool:
        """Whether the record at `offset` was committed; its transaction is decided."""
        if tp.partition >= len(self._leaders.get(tp.topic, ())):  # the topic was made anew
            return False
        log_of_it = PartitionLog(await self._requests.connect(), tp.topic, tp.partition)
        for _ in range(2):
            found = await is_committed(log_of_it, offset)
            if found is not None:
                return found
            # The broker takes the transaction for ended, and readers do not.
            await self._requests.abort_hanging({tp.topic: [tp.partition]})
            await self._requests.repeat(self._requests.initialise)
        raise KafkaError("a transaction stays undecided")


def _rounds(
    packed: Mapping[TopicPartition, Sequence[TimedBatch]],
) -> Iterator[dict[TopicPartition, TimedBatch]]:
    """The first batch of each partition, then the second of each..."""
    for batches in zip_longest(*packed.values()):
        yield {tp: batch for tp, batch in zip(packed, batches, strict=True) if batch is not None}
