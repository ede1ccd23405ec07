"""Transactions over topics of one partition: each step has a bound in time and a known outcome."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple

from aiokafka.errors import DuplicateSequenceNumber, for_code
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from consumer.clock import Clock
from consumer.settings import KafkaSettings
from consumer.stream.topic_log import TopicLog
from consumer.stream.transaction_requests import TransactionRequests

BEGIN_TIMEOUT_SECONDS: Final = 15.0
SEND_TIMEOUT_SECONDS: Final = 45.0
"""Bound for all records of a transaction together."""
_TRANSACTION_TIMEOUT_SECONDS: Final = 60.0
"""Time after which the broker aborts a dead writer's transaction, if no other writer begins."""
_ANSWER_TIMEOUT_SECONDS: Final = 8.0
"""How long a leader may wait for its followers, below the client's own time limit."""
_BATCH_BYTES: Final = 512 * 1024
"""Below the usual `max.message.bytes`; a larger record is a batch of its own."""
_ALL_REPLICAS: Final = -1
_PARTITION: Final = 0


class OutgoingTableRecord(NamedTuple):
    """A record to write."""

    key: bytes
    value: bytes | None
    headers: list[tuple[str, bytes]]


class Transactions:
    """One transaction after the other: `begin`, `send`, and `commit` or `abort`.

    `begin` fences every other writer of the same transactional id: their open transaction is
    aborted, or completed if its commit was accepted, before it returns.
    """

    def __init__(
        self, settings: KafkaSettings, transactional_id: str, topics: Sequence[str], clock: Clock
    ) -> None:
        self._requests = TransactionRequests(
            settings, transactional_id, _TRANSACTION_TIMEOUT_SECONDS
        )
        self._topics = topics
        self._clock = clock
        self._logs: dict[str, TopicLog] = {}

    async def begin(self) -> None:
        """Fence all other writers. Raises `TransactionError`."""
        requests = self._requests
        async with requests.certain("begin a transaction", BEGIN_TIMEOUT_SECONDS):
            if not self._logs:
                client = await requests.connect()
                self._logs = {topic: TopicLog(client, topic) for topic in self._topics}
            await requests.repeat(requests.initialise)

    async def ends(self) -> Mapping[str, int]:
        """The offset behind the last record of each topic. Raises `TransactionError`."""
        requests = self._requests
        async with requests.certain("look for the ends of the topics", BEGIN_TIMEOUT_SECONDS):
            return {
                topic: await requests.repeat(topic_log.end)
                for topic, topic_log in self._logs.items()
            }

    async def undecided(self) -> set[str]:
        """The topics in which some transaction is open. Raises `TransactionError`."""
        requests = self._requests
        async with requests.certain("look for open transactions", BEGIN_TIMEOUT_SECONDS):
            return {
                topic
                for topic, topic_log in self._logs.items()
                if await requests.repeat(topic_log.stable_end)
                < await requests.repeat(topic_log.end)
            }

    async def abort_hanging(self) -> None:
        """Abort what an earlier transaction of this transactional id left open in its topics,
        although the broker takes that transaction for ended, then begin. For use after `begin`.

        Raises:
            TransactionError: that failed; if it is a `FencedError`, nothing was aborted.
        """
        async with self._requests.certain("end a transaction", BEGIN_TIMEOUT_SECONDS):
            await self._requests.abort_hanging({topic: [_PARTITION] for topic in self._topics})
        await self.begin()

    async def send(self, records: Mapping[str, Sequence[OutgoingTableRecord]]) -> None:
        """Write the records of each topic, in their order. Raises `TransactionError`."""
        requests = self._requests
        async with requests.certain("take the records", SEND_TIMEOUT_SECONDS):
            partitions = {topic: [_PARTITION] for topic in records}
            await requests.repeat(lambda: requests.add(partitions))
            for topic, its in records.items():
                for batch in self._batches(its):
                    await requests.repeat(partial(self._produce, self._logs[topic], batch))

    async def commit(self) -> None:
        """Make all that was sent visible at once. Raises `CommitUnknownError`."""
        await self._requests.commit()

    async def abort(self) -> None:
        """Undo what was sent. If that fails, the next `begin` does it, or the broker in time."""
        await self._requests.abort()

    async def close(self) -> None:
        """Close the connections; an open transaction stays until another writer begins."""
        self._logs = {}
        await self._requests.close()

    def _batches(self, records: Sequence[OutgoingTableRecord]) -> Iterator[bytes]:
        """The record batches; each has the sequence number of its first record, so that the broker
        takes a repeated one once.
        """
        timestamp, first = int(self._clock.now() * 1000), 0
        producer = self._requests.producer
        while first < len(records):
            builder = DefaultRecordBatchBuilder(
                2,
                0,
                is_transactional=1,
                producer_id=producer.id,
                producer_epoch=producer.epoch,
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
        request = ProduceRequest(self._requests.id, _ALL_REPLICAS, wait_ms, topics)
        answer = await topic_log.send(request)
        for _, results in answer.topics:
            for _, code, *_ in results:
                if for_code(code) is not DuplicateSequenceNumber:
                    topic_log.check(code)
