"""The retry topics that are consumed: those of the settings, and all others below the prefix."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError

from consumer.logs import get_logger
from consumer.metrics.stream import StreamMetrics
from consumer.settings import OwnTopics
from consumer.stream.retry_topic import RetryTopic
from consumer.stream.tasks import within

log = get_logger(__name__)

LOOK_INTERVAL = 30.0
"""Seconds between two looks for retry topics that came or went."""
_TIMEOUT = 10.0


class KnownRetryTopics:
    """Knows which retry topics exist, and asks intake to consume another set of them.

    Deliveries wait in topics that the settings do not name: of delays that were taken out, or of
    newer settings that were taken back. Another replica may still write there, or make such a
    topic, at any time. So the cluster is asked again regularly, and after each assignment.
    """

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        own: OwnTopics,
        delays: Sequence[float],
        metrics: StreamMetrics,
    ) -> None:
        self._consumer = consumer
        self._own = own
        self._metrics = metrics
        self.named = [RetryTopic(own.retry(delay), delay) for delay in delays]
        """Those of the settings, which deliveries are deferred to."""
        self.consumed = {retry_topic.topic: retry_topic for retry_topic in self.named}
        """All that are consumed, by topic; `adopt` changes it in place."""
        self._wanted = dict(self.consumed)
        self._absent: set[str] = set()
        """Topics that the last look did not find."""
        self._refused: set[str] = set()
        self._look_now = asyncio.Event()

    @property
    def changed(self) -> bool:
        """Whether other topics are to be consumed than are now."""
        return self._wanted.keys() != self.consumed.keys()

    def adopt(self) -> None:
        """Let `consumed` be what it should be; the caller subscribes to it."""
        extra = sorted(self._wanted.keys() - {retry_topic.topic for retry_topic in self.named})
        self.consumed.clear()
        self.consumed.update(self._wanted)
        self._metrics.consumes(self.consumed)
        if extra:
            log.info("retry topics that the settings do not name are drained, too", topics=extra)

    def found(self, topics: Iterable[str]) -> None:
        """Take in the names of all topics that the cluster has.

        A topic that is consumed counts as gone when two looks in a row did not find it: a broker
        that has just started may not know all.
        """
        there = {
            topic: RetryTopic(topic, delay)
            for topic in topics
            if (delay := self._own.retry_delay(topic)) and topic not in self._refused
        }
        absent = self.consumed.keys() - there.keys()
        kept = {topic: self.consumed[topic] for topic in absent - self._absent - self._refused}
        self._absent = absent
        named = {retry_topic.topic: retry_topic for retry_topic in self.named}
        self._wanted = {**named, **kept, **there}

    def leave_out(self, error: BaseException | None) -> bool:
        """Whether `error` is about the right to read topics that the settings do not name: those
        are consumed no more.
        """
        if not isinstance(error, TopicAuthorizationFailedError):
            return False
        refused = {error.args[0]} if isinstance(error.args[0], str) else set(error.args[0])
        if not refused or refused & {retry_topic.topic for retry_topic in self.named}:
            return False
        if not refused <= self.consumed.keys():
            return False
        log.warning(
            "this user may not read a retry topic that the settings do not name; what waits there "
            "is not sent: grant Read and restart, or delete the topic",
            topics=sorted(refused),
        )
        self._refused |= refused
        self._wanted = {
            t: retry_topic for t, retry_topic in self._wanted.items() if t not in refused
        }
        return True

    def look_soon(self) -> None:
        """Look at once: the partitions were divided anew, maybe for a member that knows more."""
        self._look_now.set()

    async def run(self) -> None:
        """Look regularly, until cancelled."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._look_now.wait(), LOOK_INTERVAL)
            self._look_now.clear()
            await self._look()

    async def _look(self) -> None:
        try:
            async with within(_TIMEOUT):
                topics = await self._consumer.topics()
        except (KafkaError, TimeoutError) as error:
            log.debug("retry topics not looked for", error=repr(error))
            return
        self.found(topics)
