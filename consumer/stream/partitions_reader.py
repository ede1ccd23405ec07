"""Connections to the partitions of topics, for readers without a group."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Final, Self, TypeVar, TypeVarTuple
from uuid import UUID

from aiokafka.errors import (
    KafkaError,
    OffsetOutOfRangeError,
    TopicAuthorizationFailedError,
)

from consumer.clock import Clock
from consumer.logs import get_logger
from consumer.settings import KafkaSettings
from consumer.stream.backoff import pause_after
from consumer.stream.backward_merge import Place, Reached, Span
from consumer.stream.client import connection_options, kafka_timeout
from consumer.stream.cluster_client import ClusterClient
from consumer.stream.kafka_errors import REFUSALS
from consumer.stream.metadata import NO_TOPIC_ID
from consumer.stream.parsed_records import UnreadableBatchError
from consumer.stream.partition_log import PartitionLog
from consumer.stream.topics import describe_topics

log = get_logger(__name__)

AnswerT = TypeVar("AnswerT")
ArgumentTs = TypeVarTuple("ArgumentTs")

STALL_TIMEOUT_SECONDS: Final = 30.0
"""For each answer of the broker, with all repetitions."""


class PartitionsReader:
    """Connections to the partitions of some topics."""

    def __init__(self, settings: KafkaSettings, topics: Collection[str], clock: Clock) -> None:
        self.logs: dict[Place, PartitionLog] = {}
        """Empty if no topic exists."""
        self.topic_ids: dict[str, UUID] = {}
        """The id of each topic; `NO_TOPIC_ID` before Kafka 2.8."""
        self._settings = settings
        self._topics = topics
        self._clock = clock
        self._client = ClusterClient(**connection_options(settings))

    async def __aenter__(self) -> Self:
        """Find the partitions. Raises `HookstreamError` if no broker answers or it refuses."""
        try:
            async with kafka_timeout(self._settings, STALL_TIMEOUT_SECONDS):
                await self._client.bootstrap()
                found = await describe_topics(self._client, self._topics)
                _check_rights(found)
            for name, topic in found.items():
                for part in topic["partitions"]:
                    place = name, part["partition"]
                    self.logs[place] = PartitionLog(self._client, *place)
            for name in found:
                first = min((place for place in self.logs if place[0] == name), default=None)
                self.topic_ids[name] = (
                    await self.ask(self.logs[first].find) if first else NO_TOPIC_ID
                )
        except BaseException:
            await self._client.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    def keep(self, places: Collection[Place]) -> None:
        """Read only these partitions, of those that there are."""
        self.logs = {place: log for place, log in self.logs.items() if place in places}

    async def spans(self, since: int | None, until: int | None) -> dict[Place, Span]:
        """The offsets of each partition from `since` to before `until` (epoch milliseconds)."""
        found = await asyncio.gather(*(self._span(log, since, until) for log in self.logs.values()))
        return dict(zip(self.logs, found, strict=True))

    async def ask(
        self, question: Callable[[*ArgumentTs], Awaitable[AnswerT]], *arguments: *ArgumentTs
    ) -> AnswerT:
        """The answer to `question`, asked again while another try may help.

        Raises:
            HookstreamError: a refusal, or no answer within `STALL_TIMEOUT_SECONDS`.
            UnreadableBatchError, OffsetOutOfRangeError: as the question raises them.
        """
        began, failures = self._clock.monotonic(), 0
        while True:
            try:
                async with asyncio.timeout(STALL_TIMEOUT_SECONDS):
                    return await question(*arguments)
            except (UnreadableBatchError, OffsetOutOfRangeError):
                raise
            except (KafkaError, TimeoutError) as error:
                waited = self._clock.monotonic() - began
                if isinstance(error, REFUSALS) or waited > STALL_TIMEOUT_SECONDS:
                    async with kafka_timeout(self._settings, STALL_TIMEOUT_SECONDS):
                        raise
                log.debug("a partition is asked again", error=repr(error))
            failures += 1
            await asyncio.sleep(pause_after(failures, random.random()))  # noqa: S311  # jitter

    async def _span(self, log: PartitionLog, since: int | None, until: int | None) -> Span:
        start, end = await self.ask(log.start), await self.ask(log.stable_end)
        low, high = start, end
        if since is not None:
            found = await self.ask(log.offset_at, since)
            low = end if found is None else max(start, min(found, end))
        if until is not None:
            found = await self.ask(log.offset_at, until)
            high = end if found is None else min(found, end)
        if low > start:
            reached = Reached.SINCE
        else:
            reached = Reached.LOG_START if start else Reached.BEGINNING
        return Span(min(low, high), high, reached)


def _check_rights(topics: Mapping[str, Any]) -> None:
    """Raise the broker's error if this user may not know of one of `topics`."""
    for name, topic in topics.items():
        if topic["error_code"] == TopicAuthorizationFailedError.errno:
            raise TopicAuthorizationFailedError(name)
