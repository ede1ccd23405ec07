"""Reads the dead-letter topic for the commands, up to its end at the time of opening."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Self

from aiokafka import TopicPartition

from consumer.logs import get_logger
from consumer.records.delivery_metadata import DeliveryMetadata, read_delivery_metadata
from consumer.records.headers import original_headers, read_group
from consumer.records.record import Headers, UndecodableError
from consumer.settings import KafkaSettings
from consumer.stream.client import kafka_timeout, make_reader
from consumer.stream.parsed_records import UnreadableBatchError
from consumer.stream.progress import Progress
from consumer.stream.topics import existing_topics

log = get_logger(__name__)

ANSWER_TIMEOUT_SECONDS = 30.0
"""For each answer of the broker."""
_CLOSE_TIMEOUT_SECONDS = 5.0
_POLL_SECONDS = 0.5
_FETCH_RECORDS = 200
"""Records of each partition in memory at once, besides aiokafka's fetches."""

Offsets = Mapping[int, int]
"""Offsets by partition."""


@dataclass(frozen=True, slots=True)
class DeadLetterRecord:
    """One record of the dead-letter topic."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    """Epoch milliseconds at which the delivery was dead-lettered."""
    key: bytes | None
    value: bytes | None
    value_bytes: int
    """Known even if the value was dropped to save memory."""
    metadata: DeliveryMetadata | None
    """None if the record lacks this daemon's headers: another program wrote it."""
    headers: Headers = ()
    """Headers of the source record."""

    @property
    def record_ref(self) -> str:
        """`topic/partition/offset`."""
        return f"{self.topic}/{self.partition}/{self.offset}"

    @property
    def age_order(self) -> tuple[int, int, int]:
        """Sort key across partitions, the oldest first."""
        return self.timestamp, self.partition, self.offset


@dataclass(frozen=True, slots=True)
class Selection:
    """A filter for dead letters; None selects all."""

    hook: str | None = None
    reason: str | None = None
    since: int | None = None
    """Epoch milliseconds of the first record to read."""

    @property
    def name(self) -> str:
        """Stable name of hook and reason: `hook=click-analytics,reason=exhausted`, or `all`."""
        named = {"hook": self.hook, "reason": self.reason}
        return ",".join(f"{key}={value}" for key, value in named.items() if value) or "all"

    def matches(self, dead_letter: DeadLetterRecord) -> bool:
        """Whether hook and reason match. `since` is not checked: reading starts there."""
        metadata = dead_letter.metadata
        if metadata is None:
            return self.hook is None and self.reason is None
        return self.hook in {None, metadata.hook} and self.reason in {None, metadata.reason}


class DeadLetterReader:
    """A snapshot of the dead-letter topic, taken on entry; later records are not read.

    It joins no group, so it causes no rebalance; progress is committed under `group`. Every call
    raises `HookstreamError` if the broker refuses it or does not answer.
    """

    def __init__(
        self, settings: KafkaSettings, *, topic: str | None = None, group: str | None = None
    ) -> None:
        """`topic` overrides the one of the settings."""
        self.topic = topic or settings.own_topics.dead_letter
        self.exists = False
        self.ends: Offsets = {}
        """Each partition's end offset; empty if the topic does not exist."""
        self.skipped_foreign: Counter[str] = Counter()
        """Number of other groups' dead letters that `read` skipped, by group."""
        self.unreadable: dict[int, int] = {}
        """Each partition's offset at which `read` stopped early, at an unreadable batch."""
        self._settings = settings
        self._own = settings.group_id.encode()
        self._group = group
        self._consumer: Any
        self._next: dict[TopicPartition, int] = {}
        """Next offset to read of each partition."""
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        partitions = (await existing_topics(self._settings, [self.topic])).get(self.topic)
        self.exists = partitions is not None
        if partitions is None:
            return self
        self._consumer = make_reader(self._settings, self._group)
        self._stack.push_async_callback(self._close)
        try:
            async with kafka_timeout(self._settings, ANSWER_TIMEOUT_SECONDS):
                await self._consumer.start()
                partitions = [TopicPartition(self.topic, number) for number in partitions]
                ends = await self._consumer.end_offsets(partitions)
        except BaseException:
            await self._stack.aclose()
            raise
        self.ends = {tp.partition: end for tp, end in ends.items()}
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _close(self) -> None:
        try:
            async with asyncio.timeout(_CLOSE_TIMEOUT_SECONDS):
                await self._consumer.stop()
        except TimeoutError:
            log.debug("the reader was not closed in time")

    async def starts(self, since: int | None) -> Offsets:
        """Offsets of the first records not older than `since` (epoch milliseconds); None: all."""
        partitions = [TopicPartition(self.topic, number) for number in self.ends]
        if since is None or not partitions:
            # If retention has deleted offset 0, the consumer resets to the earliest record.
            return dict.fromkeys(self.ends, 0)
        async with kafka_timeout(self._settings, ANSWER_TIMEOUT_SECONDS):
            found = await self._consumer.offsets_for_times(dict.fromkeys(partitions, since))
        return {
            tp.partition: first.offset if first is not None else self.ends[tp.partition]
            for tp, first in found.items()
        }

    async def read(self, starts: Offsets, ends: Offsets) -> AsyncGenerator[DeadLetterRecord, None]:
        """Yield this group's dead letters from `starts` to `ends`, oldest first; once only."""
        if not starts:
            return
        # Positions are set before the fetcher first runs, so none is looked up.
        self._consumer.assign([TopicPartition(self.topic, number) for number in starts])
        for number, offset in starts.items():
            self._consumer.seek(TopicPartition(self.topic, number), offset)
        buffers: dict[TopicPartition, deque[DeadLetterRecord]] = {
            TopicPartition(self.topic, number): deque() for number in starts
        }
        self._next = {TopicPartition(self.topic, number): at for number, at in starts.items()}
        while buffers:
            async with kafka_timeout(self._settings, ANSWER_TIMEOUT_SECONDS):
                await self._fill(buffers, ends)
            while buffers and all(buffers.values()):
                oldest = min(buffers.values(), key=lambda buffer: buffer[0].age_order)
                yield oldest.popleft()

    async def _fill(
        self, buffers: dict[TopicPartition, deque[DeadLetterRecord]], ends: Offsets
    ) -> None:
        """Buffer at least one record of each partition; drop partitions that are at their end."""
        consumer = self._consumer
        while True:
            for tp in [tp for tp, buffer in buffers.items() if not buffer]:
                if await consumer.position(tp) >= ends[tp.partition]:
                    consumer.pause(tp)
                    del buffers[tp]
            empty = [tp for tp, buffer in buffers.items() if not buffer]
            if not empty:
                return
            try:
                batches = await consumer.getmany(
                    *empty, timeout_ms=int(_POLL_SECONDS * 1000), max_records=_FETCH_RECORDS
                )
            except UnreadableBatchError as error:
                self.unreadable[error.tp.partition] = error.offset
                consumer.pause(error.tp)
                del buffers[error.tp]
                for tp in buffers.keys() & empty:  # their records were lost with the error
                    consumer.seek(tp, self._next[tp])
                continue
            for tp, records in batches.items():
                self._next[tp] = records[-1].offset + 1
                end = ends[tp.partition]
                own = (record for record in records if record.offset < end and self._is_own(record))
                buffers[tp] += map(read_dead_letter, own)

    def _is_own(self, record: Any) -> bool:
        group = read_group(record.headers)
        if group is None or group == self._own:
            return True
        self.skipped_foreign[group.decode(errors="backslashreplace")] += 1
        return False

    async def progress(self) -> dict[int, Progress]:
        """Progress of earlier replays under this group, by partition."""
        partitions = [TopicPartition(self.topic, number) for number in self.ends]
        if not partitions:
            return {}
        async with kafka_timeout(self._settings, ANSWER_TIMEOUT_SECONDS):
            # The public `committed()` drops the metadata, and makes one request per partition.
            commits = await self._consumer._coordinator.fetch_committed_offsets(partitions)  # noqa: SLF001
        found = {tp.partition: Progress.parse(at.offset, at.metadata) for tp, at in commits.items()}
        # Progress beyond the end belongs to a log that was truncated since, or to another topic.
        return {number: p for number, p in found.items() if p.offset <= self.ends[number]}

    async def commit(self, progress: Mapping[int, Progress]) -> None:
        """Commit `progress` under the group. Call it only while `read` is active."""
        offsets = {
            TopicPartition(self.topic, number): (p.offset, str(p)) for number, p in progress.items()
        }
        async with kafka_timeout(self._settings, ANSWER_TIMEOUT_SECONDS):
            await self._consumer.commit(offsets)


def read_dead_letter(record: Any) -> DeadLetterRecord:
    """The dead letter of a record of the topic."""
    try:
        metadata = read_delivery_metadata(record.headers)
    except UndecodableError:
        metadata = None
    return DeadLetterRecord(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        timestamp=record.timestamp,
        key=record.key,
        value=record.value,
        value_bytes=len(record.value or b""),
        headers=original_headers(record.headers),
        metadata=metadata,
    )
