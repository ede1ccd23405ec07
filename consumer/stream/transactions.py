"""Transactions over topics of one partition, with a bound in time and a known outcome of each step.

aiokafka's transactional producer repeats some requests for ever, and after an error leaves open
which step it belonged to, so these are the requests themselves.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final, NamedTuple

from aiokafka.client import ConnectionGroup, CoordinationType
from aiokafka.errors import (
    ConcurrentTransactions,
    DuplicateSequenceNumber,
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    InvalidTxnState,
    KafkaError,
    NotCoordinatorForGroupError,
    NotEnoughReplicasAfterAppendError,
    NotEnoughReplicasError,
    OperationNotAttempted,
    for_code,
)
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.transaction import (
    AddPartitionsToTxnRequest,
    EndTxnRequest,
    InitProducerIdRequest,
)
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from consumer.clock import Clock
from consumer.errors import HookstreamError
from consumer.logs import get_logger
from consumer.settings import KafkaSettings
from consumer.stream.client import connection_options
from consumer.stream.cluster_client import ClusterClient
from consumer.stream.tasks import timeout
from consumer.stream.topic_log import TopicLog
from consumer.stream.transaction_errors import (
    CommitUnknownError,
    FencedError,
    TransactionError,
    is_final,
    problem,
)

log = get_logger(__name__)

BEGIN_TIMEOUT_SECONDS: Final = 15.0
SEND_TIMEOUT_SECONDS: Final = 45.0
"""Bound for all records of a transaction together."""
COMMIT_TIMEOUT_SECONDS: Final = 10.0
_ABORT_TIMEOUT_SECONDS: Final = 2.0
_TRANSACTION_TIMEOUT_SECONDS: Final = 60.0
"""Time after which the broker aborts a dead writer's transaction, if no other writer begins."""
_ANSWER_TIMEOUT_SECONDS: Final = 8.0
"""How long a leader may wait for its followers, below the client's own time limit."""
_FIRST_PAUSE_SECONDS: Final = 0.02
"""Between two tries. The end of the transaction before this one takes a few milliseconds."""
_MAX_PAUSE_SECONDS: Final = 0.5
_BATCH_BYTES: Final = 512 * 1024
"""Below the usual `max.message.bytes`; a larger record is a batch of its own."""
_ALL_REPLICAS: Final = -1
_PARTITION: Final = 0

_COORDINATOR_MOVED = (GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError)
_BUSY = (
    ConcurrentTransactions,
    GroupLoadInProgressError,
    NotEnoughReplicasError,
    NotEnoughReplicasAfterAppendError,
)
_FENCED = (InvalidProducerEpoch, InvalidProducerIdMapping, InvalidTxnState)


class OutgoingTableRecord(NamedTuple):
    """A record to write."""

    key: bytes
    value: bytes | None
    headers: list[tuple[str, bytes]]


class _Producer(NamedTuple):
    """The identity that the broker gave this writer; `epoch` fences earlier ones."""

    id: int
    epoch: int


class Transactions:
    """One transaction after the other: `begin`, `send`, and `commit` or `abort`.

    `begin` fences every other writer of the same transactional id: their open transaction is
    aborted, or completed if its commit was accepted, before it returns.
    """

    def __init__(
        self, settings: KafkaSettings, transactional_id: str, topics: Sequence[str], clock: Clock
    ) -> None:
        self._settings = settings
        self._id = transactional_id
        self._topics = topics
        self._clock = clock
        self._client: Any = None
        self._logs: dict[str, TopicLog] = {}
        self._coordinator: int | None = None
        self._producer = _Producer(-1, -1)

    async def begin(self) -> None:
        """Fence all other writers. Raises `TransactionError`."""
        async with self._certain("begin a transaction", BEGIN_TIMEOUT_SECONDS):
            if self._client is None:
                await self._connect()
            self._producer = await self._repeat(self._initialise)

    async def ends(self) -> Mapping[str, int]:
        """The offset behind the last record of each topic. Raises `TransactionError`."""
        async with self._certain("look for the ends of the topics", BEGIN_TIMEOUT_SECONDS):
            return {
                topic: await self._repeat(topic_log.end) for topic, topic_log in self._logs.items()
            }

    async def undecided(self) -> set[str]:
        """The topics in which some transaction is open. Raises `TransactionError`."""
        async with self._certain("look for open transactions", BEGIN_TIMEOUT_SECONDS):
            return {
                topic
                for topic, topic_log in self._logs.items()
                if await self._repeat(topic_log.stable_end) < await self._repeat(topic_log.end)
            }

    async def abort_hanging(self) -> None:
        """Abort what an earlier transaction of this transactional id left open in its topics,
        although the broker takes that transaction for ended, then begin. For use after `begin`.

        A broker that has just started may skip the markers of a transaction whose topics it does
        not know yet (seen with Kafka 4.4): no reader gets past such a transaction. Its producer
        id is this writer's, so an empty transaction of this one ends it.

        Raises:
            TransactionError: that failed; if it is a `FencedError`, nothing was aborted.
        """
        async with self._certain("end a transaction", BEGIN_TIMEOUT_SECONDS):
            await self._repeat(partial(self._add_topics, self._topics))
            await self._repeat(partial(self._end, commit=False))
        await self.begin()

    async def send(self, records: Mapping[str, Sequence[OutgoingTableRecord]]) -> None:
        """Write the records of each topic, in their order. Raises `TransactionError`."""
        async with self._certain("take the records", SEND_TIMEOUT_SECONDS):
            await self._repeat(partial(self._add_topics, list(records)))
            for topic, its in records.items():
                for batch in self._batches(its):
                    await self._repeat(partial(self._produce, self._logs[topic], batch))

    async def commit(self) -> None:
        """Make all that was sent visible at once. Raises `CommitUnknownError`."""
        try:
            async with timeout(COMMIT_TIMEOUT_SECONDS):
                await self._repeat(partial(self._end, commit=True))
        except (KafkaError, HookstreamError, TimeoutError) as error:
            raise CommitUnknownError(f"the commit was not confirmed: {error!r}") from error

    async def abort(self) -> None:
        """Undo what was sent. If that fails, the next `begin` does it, or the broker in time."""
        try:
            async with timeout(_ABORT_TIMEOUT_SECONDS):
                await self._repeat(partial(self._end, commit=False))
        except (KafkaError, HookstreamError, TimeoutError) as error:
            log.debug("a transaction was not aborted", error=repr(error))

    async def close(self) -> None:
        """Close the connections; an open transaction stays until another writer begins."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _connect(self) -> None:
        client = ClusterClient(**connection_options(self._settings))
        try:
            await client.bootstrap()
        except BaseException:
            await client.close()
            raise
        self._client = client
        self._coordinator = None
        self._logs = {topic: TopicLog(client, topic) for topic in self._topics}

    async def _initialise(self) -> _Producer:
        request = InitProducerIdRequest(self._id, round(_TRANSACTION_TIMEOUT_SECONDS * 1000))
        answer = await self._ask_coordinator(request)
        self._check(answer.error_code)
        return _Producer(answer.producer_id, answer.producer_epoch)

    async def _add_topics(self, topics: Sequence[str]) -> None:
        partitions = [(topic, [_PARTITION]) for topic in topics]
        request = AddPartitionsToTxnRequest(self._id, *self._producer, partitions)
        answer = await self._ask_coordinator(request)
        for topic, results in answer.errors:
            for _, code in results:
                if for_code(code) is not OperationNotAttempted:  # another topic's error counts
                    self._check(code, topic)

    async def _end(self, *, commit: bool) -> None:
        answer = await self._ask_coordinator(EndTxnRequest(self._id, *self._producer, commit))
        self._check(answer.error_code)

    def _batches(self, records: Sequence[OutgoingTableRecord]) -> Iterator[bytes]:
        """The record batches; each has the sequence number of its first record, so that the broker
        takes a repeated one once.
        """
        timestamp, first = int(self._clock.now() * 1000), 0
        while first < len(records):
            builder = DefaultRecordBatchBuilder(
                2,
                0,
                is_transactional=1,
                producer_id=self._producer.id,
                producer_epoch=self._producer.epoch,
                base_sequence=first,
                batch_size=_BATCH_BYTES,
            )
            count = 0
            for key, value, headers in records[first:]:
                if builder.append(count, timestamp, key, value, headers) is None:
                    break
                count += 1
            first += count
            yield bytes(builder.build())

    async def _produce(self, topic_log: TopicLog, batch: bytes) -> None:
        wait_ms, topic = round(_ANSWER_TIMEOUT_SECONDS * 1000), topic_log.topic
        topics = [(topic, [(_PARTITION, batch)])]
        answer = await topic_log.send(ProduceRequest(self._id, _ALL_REPLICAS, wait_ms, topics))
        for _, results in answer.topics:
            for _, code, *_ in results:
                if for_code(code) is not DuplicateSequenceNumber:
                    topic_log.check(code)

    async def _ask_coordinator(self, request: Any) -> Any:
        if self._coordinator is None:
            self._coordinator = await self._client.coordinator_lookup(
                CoordinationType.TRANSACTION, self._id
            )
        try:
            return await self._client.send(
                self._coordinator, request, group=ConnectionGroup.COORDINATION
            )
        except KafkaError:
            self._coordinator = None
            raise

    def _check(self, code: int, topic: str = "") -> None:
        """Raise the error of a coordinator's answer."""
        if not code:
            return
        error = for_code(code)
        if issubclass(error, _COORDINATOR_MOVED):
            self._coordinator = None
        raise error(topic or self._id)

    async def _repeat(self, ask: Callable[[], Awaitable[Any]]) -> Any:
        """The answer to `ask`, repeated after errors that pass; for use under a time limit."""
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                return await ask()
            except KafkaError as error:
                if not (getattr(error, "retriable", False) or isinstance(error, _BUSY)):
                    raise
                log.debug("a step of a transaction is repeated", error=repr(error))
            await asyncio.sleep(pause)
            pause = min(_MAX_PAUSE_SECONDS, pause * 1.5)

    @asynccontextmanager
    async def _certain(self, what: str, seconds: float) -> AsyncIterator[None]:
        """Raise every failure of the block as `TransactionError`: it comes before the commit."""
        try:
            async with timeout(seconds):
                yield
        except HookstreamError as error:
            raise TransactionError(str(error), is_final=True) from error
        except _FENCED as error:
            raise FencedError("another writer has begun to write") from error
        except KafkaError as error:
            message = problem(error, self._id, self._settings)
            raise TransactionError(message, is_final=is_final(error)) from error
        except TimeoutError as error:
            raise TransactionError(f"Kafka did not {what} within {seconds:.0f} s") from error
