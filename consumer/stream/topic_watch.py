"""Keeps an eye on the topics: at the start, and from time to time afterwards."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from consumer.errors import HookstreamError
from consumer.logs import get_logger
from consumer.metrics.stream import StreamMetrics
from consumer.settings import KafkaSettings
from consumer.stream.client import connection_options, kafka_timeout
from consumer.stream.tasks import within
from consumer.stream.topic_settings import Keeping, source_warnings, topic_problem
from consumer.stream.topics import ANSWER_TIMEOUT, create_topics, describe_topics, read_settings

log = get_logger(__name__)

LOOK_INTERVAL = 15.0
"""Seconds between two looks."""
URGENT_INTERVAL = 2.0
"""Seconds between two looks while the broker takes no records of ours: a topic may be gone."""


class TopicWatch:
    """Makes the topics of ours that are missing, and tells of those that would lose records.

    No client of ours makes a topic by asking for it. One that was deleted under a running daemon
    is made again here, with the settings that it must have; one that somebody else made again,
    with the broker's defaults, is named in the log and in a metric, and refused at the next start.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        *,
        sources: Collection[str],
        own: Callable[[], Mapping[str, Keeping]],
        drained: Callable[[], Mapping[str, Keeping]],
        metrics: StreamMetrics,
        urgent: Callable[[], bool],
    ) -> None:
        """`own`: what each topic of ours must keep, by the settings in use; `drained`: likewise, of
        others that are consumed, and not made if they are missing. `urgent`: whether the next look
        should be soon.
        """
        self._settings = settings
        self._sources = sources
        self._own = own
        self._metrics = metrics
        self._drained = drained
        self._urgent = urgent
        self._admin: AIOKafkaAdminClient | None = None
        self._told: Mapping[str, str] = {}
        """Problems of topics of ours, by topic."""
        self._unreadable: set[str] = set()

    async def prepare(self) -> Collection[str]:
        """Look before the first record, and keep the connection until `close`. Gives back the names
        of all topics that were there before.

        Raises `HookstreamError` if no broker answers, a source does not exist, or a topic of ours
        cannot be made or would lose records.
        """
        self._admin = admin = AIOKafkaAdminClient(**connection_options(self._settings))
        async with kafka_timeout(self._settings, ANSWER_TIMEOUT):
            await admin.start()
            known = await describe_topics(admin._client)  # noqa: SLF001  # no public way
            _require(self._sources, known)
            problems = await self._create_missing(admin, known)
            problems |= await self._find_problems(admin, self._own())
            await self._warn_of_sources(admin)
        if problems:
            raise HookstreamError("; ".join(problems.values()))
        self._metrics.topic_problems(dict.fromkeys(self._own(), False))
        return known

    async def close(self) -> None:
        """End the connection."""
        if self._admin is not None:
            await self._admin.close()

    async def run(self) -> None:
        """Look regularly, until cancelled; only after `prepare`."""
        assert self._admin is not None  # noqa: S101
        waited = 0.0
        while True:
            await asyncio.sleep(URGENT_INTERVAL)
            waited += URGENT_INTERVAL
            if self._urgent() or waited >= LOOK_INTERVAL:
                waited = 0.0
                await self._look(self._admin)

    async def _look(self, admin: AIOKafkaAdminClient) -> None:
        try:
            async with within(ANSWER_TIMEOUT):
                ours = {**self._drained(), **self._own()}
                known = await describe_topics(admin._client, {*self._sources, *ours})  # noqa: SLF001
                problems = await self._create_missing(admin, known)
                problems |= await self._find_problems(admin, ours)
        except (KafkaError, TimeoutError) as error:
            log.debug("topics not looked at", error=repr(error))
            return
        for topic, problem in problems.items():
            if self._told.get(topic) != problem:
                log.error("a topic of ours would lose records", topic=topic, problem=problem)
        for topic in self._told.keys() - problems.keys():
            log.info("a topic of ours is as it must be again", topic=topic)
        self._told = problems
        self._metrics.topic_problems({topic: topic in problems for topic in ours})

    async def _create_missing(
        self, admin: AIOKafkaAdminClient, known: Mapping[str, Any]
    ) -> dict[str, str]:
        """Sentences about those that could not be made."""
        missing = {name: keeping for name, keeping in self._own().items() if name not in known}
        like = [known[name] for name in self._sources if name in known]
        if not missing or not like:
            return {}
        refused = await create_topics(admin, missing, like)
        made = sorted(missing.keys() - refused.keys())
        if made:
            log.info("topics created", topics=made)
        return dict(refused)

    async def _find_problems(
        self, admin: AIOKafkaAdminClient, ours: Mapping[str, Keeping]
    ) -> dict[str, str]:
        """Sentences about those that would lose records."""
        servers = self._settings.bootstrap_servers
        found = await read_settings(admin, ours)
        self._warn_of_unreadable({topic for topic, values in found.items() if values is None})
        problems = {
            topic: topic_problem(topic, values, ours[topic], servers)
            for topic, values in found.items()
            if values is not None
        }
        return {topic: str(problem) for topic, problem in problems.items() if problem is not None}

    def _warn_of_unreadable(self, topics: set[str]) -> None:
        if topics - self._unreadable:
            log.warning(
                "the settings of topics of ours cannot be read, so records may be lost in silence: "
                "grant DescribeConfigs",
                topics=sorted(topics),
            )
        self._unreadable = topics

    async def _warn_of_sources(self, admin: AIOKafkaAdminClient) -> None:
        for topic, values in (await read_settings(admin, self._sources)).items():
            for warning in source_warnings(values or {}):
                log.warning("a source may lose events", topic=topic, reason=warning)


def _require(sources: Collection[str], known: Mapping[str, Any]) -> None:
    missing = sorted(set(sources) - known.keys())
    if missing:
        raise HookstreamError(
            f"no such topic: {', '.join(missing)}: create it in Kafka, "
            "or name the topic of your events under sources"
        )
