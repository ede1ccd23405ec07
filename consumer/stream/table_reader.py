"""Reads a topic of one partition from its beginning, as a table is read: without a group."""

import asyncio
import random
from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from consumer.clock import Clock
from consumer.errors import HookstreamError
from consumer.logs import get_logger
from consumer.records.record import Record
from consumer.settings import KafkaSettings
from consumer.stream.backoff import pause_after
from consumer.stream.client import connection_options, kafka_timeout, translate_errors
from consumer.stream.cluster_client import ClusterClient
from consumer.stream.kafka_errors import REFUSALS
from consumer.stream.metadata import NO_TOPIC_ID
from consumer.stream.parsed_records import UnreadableBatchError
from consumer.stream.partition_log import Fetched
from consumer.stream.topic_log import TopicError, TopicLog

log = get_logger(__name__)

STALL_TIMEOUT_SECONDS: Final = 30.0
"""Time without progress after which `read_to_end` gives up."""
CHECK_INTERVAL_SECONDS: Final = 5.0
"""Between two questions whether the topic was made anew, if no answer gives reason to ask."""
MAX_GAP_SECONDS: Final = 3600.0
"""Time away from the end after which everything is read again. Kafka compacts deletions away, by
default after a day (`delete.retention.ms`): a reader that missed one would keep what was deleted.
"""
_OPEN_TIMEOUT_SECONDS: Final = 30.0
_FOLLOW_WAIT_SECONDS: Final = 0.5
"""How long a fetch may wait at the broker for new records."""
_END_WAIT_SECONDS: Final = 0.05
"""The same, while something is known to come: the end of a transaction."""
_TIME_SLICE_SECONDS: Final = 0.005
"""Work after which other tasks get their turn."""


class TableReader:
    """Gives every committed record of a topic to `take`, in order, from the first one on.

    One method at a time: `open`, then `read_to_end` as often as wanted, or `follow`. If `take`
    raises, so does the method, and the same record comes first in the next call.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        topic: str,
        take: Callable[[Record], object],
        restarted: Callable[[], object],
        clock: Clock,
    ) -> None:
        """`restarted` is called if the topic was made anew, lost records that had been read, or was
        out of reach for `MAX_GAP_SECONDS`. Then `take` gets all records from the beginning, and
        what earlier ones said is void.
        """
        self.next_offset = 0
        """The offset behind the last record taken, or behind the marker that follows it."""
        self.is_at_end = False
        """Whether the last answer of the broker had nothing behind what was taken. A table that
        begins anew is complete when this becomes true."""
        self._settings = settings
        self._topic = topic
        self._take = take
        self._restarted = restarted
        self._clock = clock
        self._client: Any = None
        self._log: Any = None
        self._topic_id: UUID = NO_TOPIC_ID
        self._checked_at = float("-inf")
        """Monotonic seconds; minus infinity: ask before the next fetch."""
        self._restarts = 0
        self._at_end_at = float("inf")
        """Epoch seconds at which the reader was at the end, or began at the beginning."""

    async def open(self, offset: int | None = None) -> None:
        """Connect, and begin at `offset`, or at the first record.

        Raises:
            HookstreamError: no broker answers, it refuses this user, or the topic is missing or
                has several partitions.
        """
        self._client = ClusterClient(**connection_options(self._settings))
        self._log = TopicLog(self._client, self._topic)
        try:
            async with kafka_timeout(self._settings, _OPEN_TIMEOUT_SECONDS):
                await self._client.bootstrap()
                self._client.add_topic(self._topic)
                self._topic_id = await self._retried(self._log.find)
                start = await self._retried(self._log.start)
        except BaseException:
            await self.close()
            raise
        self._checked_at, self._at_end_at = self._clock.monotonic(), self._clock.now()
        self.next_offset = start if offset is None else offset

    async def close(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def read_to_end(self, *, to_high_watermark: bool = False) -> None:
        """Read on until everything that was committed before this call is taken.

        An open transaction ends what a reader can see; records behind it are not waited for. With
        `to_high_watermark` they are, so that none can come between.

        Raises:
            HookstreamError: no progress for `STALL_TIMEOUT_SECONDS`, a refusal, or a record that
                cannot be read.
        """
        self._checked_at = float("-inf")
        end, restarts, failures = -1, -1, 0
        moved_at = self._clock.monotonic()
        while True:
            before = self.next_offset
            try:
                await self._check_topic()
                if restarts != self._restarts:
                    ask = self._log.end if to_high_watermark else self._log.stable_end
                    end, restarts = await ask(), self._restarts
                    if self.next_offset > end:
                        await self._restart("it has lost records that were read")
                        continue
                if self.next_offset >= end:  # a fetch brings what came since as well
                    self._at_end_at = self._clock.now()
                    return
                await self._give(await self._fetch(_END_WAIT_SECONDS))
            except KafkaError as error:
                await self._give_up_if_final(error, moved_at)
                failures += 1
                await self._pause(failures)
                continue
            if self.next_offset != before or restarts != self._restarts:
                moved_at, failures = self._clock.monotonic(), 0
            elif self._clock.monotonic() - moved_at > STALL_TIMEOUT_SECONDS:
                raise HookstreamError(
                    f"the topic {self._topic} could be read to offset {self.next_offset} only: "
                    "another program has had a transaction open there for "
                    f"{STALL_TIMEOUT_SECONDS:.0f} s; end that program, or let "
                    "`kafka-transactions.sh find-hanging` name it"
                )

    async def follow(self) -> None:
        """Give records to `take` as they come, for ever.

        While the broker is away, refuses this user or has no such topic, it waits and tries again,
        with one line in the log for each kind of failure.

        Raises:
            HookstreamError: the bootstrap servers lead to another cluster now.
        """
        failures, said = 0, set[str]()
        while True:
            try:
                await self._check_topic()
                await self._give(await self._fetch(_FOLLOW_WAIT_SECONDS))
            except (KafkaError, TopicError) as error:
                if (kind := type(error).__name__) not in said:
                    said.add(kind)
                    await self._log_failure(error)
                failures += 1
                await self._pause(failures)
                continue
            if failures:
                log.info("a topic can be read again", topic=self._topic)
                failures = 0
                said.clear()

    async def _check_topic(self) -> None:
        """Begin anew if the topic is another one of the same name."""
        now = self._clock.monotonic()
        if now - self._checked_at < CHECK_INTERVAL_SECONDS:
            return
        found = await self._log.find()
        if found != self._topic_id:
            await self._restart("it was made anew")
            self._topic_id = found
        elif self._clock.now() - self._at_end_at > MAX_GAP_SECONDS:
            await self._restart("deletions may have been compacted away since it was read")
        self._checked_at = now

    async def _fetch(self, wait_seconds: float) -> Fetched | None:
        """The next records; None if there is no answer, or reading begins anew."""
        try:
            fetched: Fetched | None = await self._log.fetch(self.next_offset, wait_seconds)
        except OffsetOutOfRangeError:
            await self._restart("it has lost the next record, or earlier ones")
            return None
        return fetched

    async def _restart(self, reason: str) -> None:
        start = await self._log.start()
        log.warning("a topic is read anew", topic=self._topic, reason=reason)
        self._restarts += 1
        self.next_offset, self.is_at_end = start, False
        self._at_end_at = self._clock.now()
        self._restarted()

    async def _give(self, fetched: Fetched | None) -> None:
        if fetched is None:
            return
        slice_end = self._clock.monotonic() + _TIME_SLICE_SECONDS
        for record in fetched:
            self._take(record)
            self.next_offset = record.offset + 1
            if self._clock.monotonic() >= slice_end:
                await asyncio.sleep(0)
                slice_end = self._clock.monotonic() + _TIME_SLICE_SECONDS
        self.next_offset = fetched.next_offset
        self.is_at_end = self.next_offset >= fetched.stable_end
        if self.is_at_end:
            self._at_end_at = self._clock.now()

    async def _retried(self, ask: Callable[[], Any]) -> Any:
        """The answer of `ask`, repeated while another one may help; for use under a time limit."""
        failures = 0
        while True:
            try:
                return await ask()
            except REFUSALS:
                raise
            except KafkaError as error:
                log.debug("a topic is asked about again", topic=self._topic, error=repr(error))
                failures += 1
                await self._pause(failures)

    async def _give_up_if_final(self, error: KafkaError, moved_at: float) -> None:
        """Raise `HookstreamError` if another try cannot help, or was tried for long enough."""
        if isinstance(error, UnreadableBatchError):
            raise HookstreamError(_unreadable(self._topic, error)) from error
        waited = self._clock.monotonic() - moved_at
        if isinstance(error, REFUSALS) or waited > STALL_TIMEOUT_SECONDS:
            async with translate_errors(self._settings):
                raise error

    async def _pause(self, failures: int) -> None:
        """Wait before another try, which asks about the topic first."""
        self._checked_at = float("-inf")
        await asyncio.sleep(pause_after(failures, random.random()))  # noqa: S311  # jitter

    async def _log_failure(self, error: Exception) -> None:
        if isinstance(error, UnreadableBatchError):
            problem = _unreadable(self._topic, error)
        else:
            problem = str(error) if isinstance(error, HookstreamError) else repr(error)
        log.error("a topic cannot be read, and is tried again", topic=self._topic, problem=problem)


def _unreadable(topic: str, error: UnreadableBatchError) -> str:
    return (
        f"the topic {topic} cannot be read at offset {error.offset} ({error}): repair the broker's "
        "log, or move the partition's start after the record with kafka-delete-records"
    )
