"""The consumed retry topics: those of the settings, and all others below the prefix."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError

from consumer.logs import get_logger
from consumer.metrics.stream import StreamMetrics
from consumer.settings import OwnTopics
from consumer.stream.retry_topic import RetryTopic
from consumer.stream.tasks import timeout

log = get_logger(__name__)

CHECK_INTERVAL_SECONDS = 30.0
"""Interval of checks for added and removed retry topics."""
_CHECK_TIMEOUT_SECONDS = 10.0


class KnownRetryTopics:
    """The set of existing retry topics; intake resubscribes when it has `changed`.

    Deliveries may wait in topics that the settings do not name: of removed delays, or of newer
    settings that were rolled back. Another replica may write to or create such topics at any time,
    so the cluster is asked regularly and after each assignment.
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
        """The settings' retry topics, to which deliveries are deferred."""
        self.consumed = {retry_topic.topic: retry_topic for retry_topic in self.named}
        """All consumed retry topics by name; `adopt` changes the dict in place."""
        self._wanted = dict(self.consumed)
        self._absent: set[str] = set()
        """Topics that the last check did not find."""
        self._refused: set[str] = set()
        self._check_now = asyncio.Event()

    @property
    def changed(self) -> bool:
        """Whether the wanted topics differ from `consumed`."""
        return self._wanted.keys() != self.consumed.keys()

    def adopt(self) -> None:
        """Make the wanted topics `consumed`; the caller subscribes to them."""
        extra = sorted(self._wanted.keys() - {retry_topic.topic for retry_topic in self.named})
        self.consumed.clear()
        self.consumed.update(self._wanted)
        self._metrics.declare_consumed_topics(self.consumed)
        if extra:
            log.info("retry topics that the settings do not name are drained as well", topics=extra)

    def found(self, topics: Iterable[str]) -> None:
        """Note the names of all topics of the cluster.

        A consumed topic is dropped only after two checks in a row without it: a broker that has
        just started may not know all topics.
        """
        existing = {
            topic: RetryTopic(topic, delay)
            for topic in topics
            if (delay := self._own.retry_delay(topic)) and topic not in self._refused
        }
        absent = self.consumed.keys() - existing.keys()
        kept = {topic: self.consumed[topic] for topic in absent - self._absent - self._refused}
        self._absent = absent
        named = {retry_topic.topic: retry_topic for retry_topic in self.named}
        self._wanted = {**named, **kept, **existing}

    def leave_out(self, error: BaseException | None) -> bool:
        """Stop consuming topics that the settings do not name if `error` refuses access to them;
        return whether it does.
        """
        if not isinstance(error, TopicAuthorizationFailedError):
            return False
        refused = {error.args[0]} if isinstance(error.args[0], str) else set(error.args[0])
        if not refused or refused & {retry_topic.topic for retry_topic in self.named}:
            return False
        if not refused <= self.consumed.keys():
            return False
        log.warning(
            "this user may not read a retry topic that the settings do not name; deliveries there "
            "are not sent: grant Read and restart, or delete the topic",
            topics=sorted(refused),
        )
        self._refused |= refused
        self._wanted = {
            t: retry_topic for t, retry_topic in self._wanted.items() if t not in refused
        }
        return True

    def check_soon(self) -> None:
        """Check at once: after a rebalance another member may consume more topics."""
        self._check_now.set()

    async def run(self) -> None:
        """Check regularly, until cancelled."""
        while True:
            # `asyncio.wait_for` of Python 3.11 loses a cancellation that meets the event.
            with suppress(TimeoutError):
                async with asyncio.timeout(CHECK_INTERVAL_SECONDS):
                    await self._check_now.wait()
            self._check_now.clear()
            await self._check()

    async def _check(self) -> None:
        try:
            async with timeout(_CHECK_TIMEOUT_SECONDS):
                topics = await self._consumer.topics()
        except (KafkaError, TimeoutError) as error:
            log.debug("retry topics not checked", error=repr(error))
            return
        self.found(topics)
