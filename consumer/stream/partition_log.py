"""Requests to the leader of one partition."""

from collections.abc import Iterator
from typing import Any, Final
from uuid import UUID

from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.errors import (
    KafkaError,
    LeaderNotAvailableError,
    NotLeaderForPartitionError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.offset import OffsetRequest

from consumer.records.record import Record
from consumer.stream.cluster_client import ANY_NODE, ClusterClient
from consumer.stream.metadata import NO_TOPIC_ID, TopicIdRequest
from consumer.stream.skimming import Skim, SkimmedBytes

FETCH_BYTES: Final = 1024 * 1024
"""Limit for one answer. A larger batch is sent whole if it is the first one (KIP-74)."""
_READ_UNCOMMITTED, _READ_COMMITTED = 0, 1
_EARLIEST, _LATEST = -2, -1
_RACK_VERSION: Final = 11
"""The version of a fetch's answer from which on its last field but one is a replica."""
_MOVED = (NotLeaderForPartitionError, UnknownTopicOrPartitionError, LeaderNotAvailableError)


class Fetched:
    """The answer to a fetch: iterate over its committed records, then look at `next_offset`."""

    def __init__(
        self,
        tp: TopicPartition,
        offset: int,
        stable_end: int,
        aborted: Any,
        data: bytes,
        *,
        skim: Skim | None = None,
    ) -> None:
        self.stable_end = stable_end
        """Last stable offset: the first one of the oldest open transaction, or the end."""
        self.size = len(data)
        """Bytes of the answer, compressed as the broker has them."""
        self._records = fetcher.PartitionRecords(
            tp,
            fetcher.MemoryRecords(data) if skim is None else SkimmedBytes(data, skim),
            aborted,
            offset,
            None,
            None,
            True,  # noqa: FBT003  # check the checksums
            _READ_COMMITTED,
        )
        # An answer without a byte although there are offsets: their records were compacted away.
        self._skipped_to = offset if data else max(offset, stable_end)

    def __iter__(self) -> Iterator[Record]:
        """The records. Raises `UnreadableBatchError`."""
        return iter(self._records)

    @property
    def next_offset(self) -> int:
        """The offset to fetch next, behind transaction markers and aborted records."""
        reached: int = self._records.next_fetch_offset
        return max(self._skipped_to, reached)


class PartitionLog:
    """One partition of a topic. Every request raises `KafkaError` if it fails."""

    def __init__(self, client: ClusterClient, topic: str, partition: int = 0) -> None:
        self.topic = topic
        self.partition = partition
        self._client = client
        self._tp = TopicPartition(topic, partition)
        self._leader: int | None = None

    async def find(self) -> UUID:
        """Find the leader, and return the id of the topic; `NO_TOPIC_ID` before Kafka 2.8."""
        self._leader = None
        answer = await self._client.send(ANY_NODE, TopicIdRequest([self.topic]))
        [topic] = answer.to_object()["topics"]
        self._check_topic(topic)
        _raise(topic["error_code"], self.topic)
        leaders = {one["partition"]: one["leader"] for one in topic["partitions"]}
        leader = leaders.get(self.partition, -1)
        if leader < 0:
            raise LeaderNotAvailableError(self.topic)
        self._leader = leader
        found: UUID = topic.get("topic_id", NO_TOPIC_ID)
        return found

    async def start(self) -> int:
        """The offset of the first record."""
        return await self._offset(_EARLIEST, _READ_COMMITTED)

    async def stable_end(self) -> int:
        """The offset before which every transaction is decided (last stable offset)."""
        return await self._offset(_LATEST, _READ_COMMITTED)

    async def end(self) -> int:
        """The offset behind the last record, decided or not (high watermark)."""
        return await self._offset(_LATEST, _READ_UNCOMMITTED)

    async def offset_at(self, timestamp: int) -> int | None:
        """The first offset whose record is not older than `timestamp` (epoch milliseconds); None:
        no record is that new.
        """
        found = await self._offset(timestamp, _READ_COMMITTED)
        return found if found >= 0 else None

    async def fetch(
        self, offset: int, wait_seconds: float, skim: Skim | None = None
    ) -> Fetched | None:
        """Fetch from `offset` on, once there is something or `wait_seconds` have passed; None: the
        broker throttles this client. With `skim`, batches without a wanted record are left out.
        """
        partition = (self.partition, offset, FETCH_BYTES)
        wait_ms = round(wait_seconds * 1000)
        request = FetchRequest(
            wait_ms, 1, FETCH_BYTES, _READ_COMMITTED, [(self.topic, [partition])]
        )
        answer = await self.send(request)
        if not answer.topics:
            return None
        [(_, [(_, code, _high_watermark, stable_end, *details)])] = answer.topics
        self.check(code)
        aborted = details[1] if answer.API_VERSION >= _RACK_VERSION else details[-2]
        return Fetched(self._tp, offset, stable_end, aborted, bytes(details[-1] or b""), skim=skim)

    async def send(self, request: Any) -> Any:
        """The leader's answer to `request`."""
        if self._leader is None:
            await self.find()
        try:
            return await self._client.send(self._leader, request)
        except KafkaError:
            self._leader = None
            raise

    def check(self, code: int) -> None:
        """Raise the error in a leader's answer, and forget a leader that has moved."""
        if issubclass(for_code(code), _MOVED):
            self._leader = None
        _raise(code, self.topic)

    def _check_topic(self, topic: Any) -> None:
        """Raise an error if a topic of a Metadata answer cannot be read as this class reads it."""

    async def _offset(self, which: int, isolation: int) -> int:
        request = OffsetRequest(-1, isolation, [(self.topic, [(self.partition, which)])])
        answer = await self.send(request)
        [(_, [(_, code, _timestamp, offset, *_)])] = answer.topics
        self.check(code)
        found: int = offset
        return found


def _raise(code: int, topic: str) -> None:
    if not code:
        return
    error = for_code(code)
    raise error(topic) if error is TopicAuthorizationFailedError else error()
