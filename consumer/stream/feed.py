"""Feeds polled records to the handler, in order and when they are due."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from aiokafka import TopicPartition

from consumer.clock import Clock
from consumer.records.headers import read_not_before
from consumer.records.overflow_tracker import OverflowTracker
from consumer.records.record import Record, SchemaWantedError
from consumer.records.tracker import OffsetTracker
from consumer.stream.assignment import Assignment
from consumer.stream.handler import Handler
from consumer.stream.overflow_reader import OverflowReader
from consumer.stream.poller import Poller
from consumer.stream.retry_topic import RetryTopic
from consumer.stream.take_one import take_one

_SLICE_RECORDS = 50
"""Records between two yields to the event loop: a few milliseconds of a retry topic's."""

_CHECK_RECORDS = 2 * _SLICE_RECORDS
"""Records between two looks whether a commit is due: a tenth of what a crash may repeat."""


class Feed:
    """Feeds the handler with one partition's records at a time."""

    def __init__(
        self,
        handler: Handler,
        assignment: Assignment,
        poller: Poller,
        *,
        retry_topics: Mapping[str, RetryTopic],
        overflow: OverflowReader,
        check_commits: Callable[[], None],
        clock: Clock,
    ) -> None:
        """`retry_topics`: those that are consumed, by name, a live mapping. `check_commits`: called
        every `_CHECK_RECORDS`.
        """
        self._handler = handler
        self._assignment = assignment
        self._poller = poller
        self._retry_topics = retry_topics
        self._overflow = overflow
        self._check_commits = check_commits
        self._clock = clock

    async def take(
        self, tracker: OffsetTracker, records: Sequence[Record], goes_on: Callable[[], bool]
    ) -> None:
        """Handle `records`, polled for `tracker`, while its assignment `goes_on`."""
        if isinstance(tracker, OverflowTracker):
            await self._overflow.take(tracker, records, goes_on)
        else:
            await self._take_each(tracker, records, goes_on)

    async def _take_each(
        self, tracker: OffsetTracker, records: Sequence[Record], goes_on: Callable[[], bool]
    ) -> None:
        tp = TopicPartition(tracker.topic, tracker.number)
        retry_topic = self._retry_topics.get(tp.topic)
        handler, awaiting = self._handler, self._poller.awaiting_schema
        waits = tp in awaiting
        for number, record in enumerate(records):
            if number % _SLICE_RECORDS == _SLICE_RECORDS - 1:
                await self._let_others_work(number)
            while handler.at_capacity and goes_on():
                await handler.wait_for_capacity()
            if not goes_on():
                return
            if retry_topic is not None:
                if handler.is_foreign(record):
                    tracker.skip(record.offset)  # due or not: it holds back no record of this group
                    continue
                if self._pauses(tp, tracker, records, number, retry_topic):
                    return
            wanted = take_one(handler, record, tracker, self._clock)
            if wanted is not None:
                self._await_schema(tp, tracker, records, number, wanted)
                return
            if waits:
                awaiting.passed(tp)
                waits = False

    async def _let_others_work(self, number: int) -> None:
        await asyncio.sleep(0)
        if number % _CHECK_RECORDS == _CHECK_RECORDS - 1:
            self._check_commits()

    def _pauses(
        self,
        tp: TopicPartition,
        tracker: OffsetTracker,
        records: Sequence[Record],
        number: int,
        retry_topic: RetryTopic,
    ) -> bool:
        """Pause the partition of a deferred record that is not due; return whether it is paused."""
        record = records[number]
        due = self._due(tp, record, retry_topic)
        # If the partition's log may be gone, its records cannot wait there.
        if due <= self._clock.monotonic() or not self._assignment.reads(tp, tracker):
            return False
        tracker.skip_to(record.offset)
        self._poller.pause_until(tp, records, number, due)
        return True

    def _await_schema(
        self,
        tp: TopicPartition,
        tracker: OffsetTracker,
        records: Sequence[Record],
        number: int,
        wanted: SchemaWantedError,
    ) -> None:
        """Let the partition wait with the record at the index `number` of its polled `records`."""
        if not self._assignment.reads(tp, tracker):
            return  # it gets another position, and this record is read again if it is still there
        now, record = self._clock.monotonic(), records[number]
        self._poller.awaiting_schema.note(tp, record, wanted, now)
        tracker.skip_to(record.offset)
        self._poller.pause_until(tp, records, number, now + wanted.seconds)

    def _due(self, tp: TopicPartition, record: Record, retry_topic: RetryTopic) -> float:
        """Monotonic seconds at which a deferred record is due; only its partition waits."""
        # One monotonic due time per record: setting the clock does not move it.
        due_at = self._poller.paused_until(tp, record.offset)
        if due_at is not None:
            return due_at
        return self._clock.monotonic() + retry_topic.seconds_until_due(
            deferred_at=record.timestamp / 1000,
            not_before=read_not_before(record.headers),
            now=self._clock.now(),
        )
