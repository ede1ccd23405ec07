"""Hands polled records to the handler, in order and when they are due."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from aiokafka import TopicPartition

from consumer.clock import Clock
from consumer.logs import get_logger
from consumer.records.headers import read_not_before
from consumer.records.record import Record
from consumer.records.tracker import OffsetTracker
from consumer.stream.assignment import Assignment
from consumer.stream.handler import Handler
from consumer.stream.poller import Poller
from consumer.stream.retry_topic import RetryTopic

log = get_logger(__name__)

_SLICE = 50
"""Records that are taken in before the event loop has another turn: a few milliseconds, where they
come out of a retry topic.
"""


class Feed:
    """Takes the records of one partition after the other."""

    def __init__(
        self,
        handler: Handler,
        assignment: Assignment,
        poller: Poller,
        retry_topics: Mapping[str, RetryTopic],
        clock: Clock,
    ) -> None:
        """`lanes`: the retry topics that are consumed, which may become more or fewer."""
        self._handler = handler
        self._assignment = assignment
        self._poller = poller
        self._retry_topics = retry_topics
        self._clock = clock

    async def take(
        self, partition: OffsetTracker, records: Sequence[Record], goes_on: Callable[[], bool]
    ) -> None:
        """Hand over `records`, polled for `partition`, as long as the assignment `goes_on`: after
        it they are void.
        """
        tp = TopicPartition(partition.topic, partition.number)
        retry_topic = self._retry_topics.get(tp.topic)
        handler = self._handler
        for number, record in enumerate(records):
            if number % _SLICE == _SLICE - 1:
                await asyncio.sleep(0)
            while handler.at_capacity and goes_on():
                await handler.wait_for_capacity()
            if not goes_on():
                return
            if retry_topic is not None:
                if handler.is_foreign(record):
                    partition.skip(record.offset)  # due or not: it holds back nothing of ours
                    continue
                due = self._due(tp, record, retry_topic)
                # Where its log may be gone, nothing can wait in it any more.
                if due > self._clock.monotonic() and self._assignment.reads(tp, partition):
                    partition.skip_to(record.offset)
                    self._poller.pause_until(tp, records, number, due)
                    return
            self._take_one(record, partition)

    def _take_one(self, record: Record, partition: OffsetTracker) -> None:
        try:
            self._handler.handle(record, partition)
        except Exception as bug:  # noqa: BLE001  # whatever it is, the record stays
            # Never settled, so never committed past: a bug must lose nothing.
            partition.receive(record.offset, record, 1, self._clock.monotonic())
            log.error(
                "a record could not be processed",
                cause=bug,
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
            )

    def _due(self, tp: TopicPartition, record: Record, retry_topic: RetryTopic) -> float:
        """Monotonic seconds at which a deferred record is due; only its partition waits for it."""
        # One monotonic due time per record: a clock that is set does not move it.
        due_at = self._poller.paused_until(tp, record.offset)
        if due_at is not None:
            return due_at
        return self._clock.monotonic() + retry_topic.seconds_until_due(
            deferred_at=record.timestamp / 1000,
            not_before=read_not_before(record.headers),
            now=self._clock.now(),
        )
