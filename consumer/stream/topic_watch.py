"""Checks the topics at the start and regularly afterwards, and creates missing ones."""

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
from consumer.stream.tasks import timeout
from consumer.stream.topic_settings import (
    Requirement,
    partition_problem,
    source_warnings,
    topic_problem,
)
from consumer.stream.topics import (
    ANSWER_TIMEOUT_SECONDS,
    create_topics,
    describe_topics,
    read_settings,
)

log = get_logger(__name__)

CHECK_INTERVAL_SECONDS = 15.0
"""Between two checks."""
URGENT_CHECK_INTERVAL_SECONDS = 2.0
"""Between two checks while the broker accepts no records: a topic may be missing."""


class TopicWatch:
    """Creates our own topics if they are missing, and reports those that would lose records.

    Our clients never auto-create topics. A topic that is deleted under a running daemon is
    recreated here with the right settings. One that another program recreated with the broker's
    defaults is reported in the log and in a metric, and refused at the next start.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        *,
        sources: Collection[str],
        own: Callable[[], Mapping[str, Requirement]],
        drained: Callable[[], Mapping[str, Requirement]],
        metrics: StreamMetrics,
        urgent: Callable[[], bool],
    ) -> None:
        """`own`: our own topics with what they must be, by the settings in use; `drained`:
        other consumed topics, which are not created if missing. `urgent`: whether to check soon.
        """
        self._settings = settings
        self._sources = sources
        self._own = own
        self._metrics = metrics
        self._drained = drained
        self._urgent = urgent
        self._admin: AIOKafkaAdminClient | None = None
        self._logged: Mapping[str, str] = {}
        """Logged problems of our own topics, by topic."""
        self._unreadable: set[str] = set()

    async def prepare(self) -> Collection[str]:
        """Check before the first record, and keep the connection until `close`. Return the names of
        all topics that existed before.

        Raises `HookstreamError` if no broker answers, a source does not exist, or one of our own
        topics would lose records, or cannot be created and is not optional.
        """
        self._admin = admin = AIOKafkaAdminClient(**connection_options(self._settings))
        async with kafka_timeout(self._settings, ANSWER_TIMEOUT_SECONDS):
            await admin.start()
            known = await describe_topics(admin._client)  # noqa: SLF001  # no public way
            _require(self._sources, known)
            refused = await self._create_missing(admin, known)
            problems = await self._find_problems(admin, self._own(), known)
            await self._warn_of_sources(admin)
        own = self._own()
        missing = {topic: why for topic, why in refused.items() if own[topic].optional}
        problems |= {topic: why for topic, why in refused.items() if topic not in missing}
        if problems:
            raise HookstreamError("; ".join(problems.values()))
        for topic, problem in missing.items():
            log.warning("nothing can be written to a topic", topic=topic, problem=problem)
        self._logged = missing
        self._metrics.topic_problems({topic: topic in missing for topic in own})
        return known

    async def close(self) -> None:
        """Close the connection."""
        if self._admin is not None:
            await self._admin.close()

    async def run(self) -> None:
        """Check regularly, until cancelled; only after `prepare`."""
        assert self._admin is not None  # noqa: S101
        waited = 0.0
        while True:
            await asyncio.sleep(URGENT_CHECK_INTERVAL_SECONDS)
            waited += URGENT_CHECK_INTERVAL_SECONDS
            if self._urgent() or waited >= CHECK_INTERVAL_SECONDS:
                waited = 0.0
                await self._check(self._admin)

    async def _check(self, admin: AIOKafkaAdminClient) -> None:
        try:
            async with timeout(ANSWER_TIMEOUT_SECONDS):
                ours = {**self._drained(), **self._own()}
                known = await describe_topics(admin._client, {*self._sources, *ours})  # noqa: SLF001
                problems = await self._create_missing(admin, known)
                problems |= await self._find_problems(admin, ours, known)
        except (KafkaError, TimeoutError) as error:
            log.debug("topics not checked", error=repr(error))
            return
        for topic, problem in problems.items():
            if self._logged.get(topic) != problem:
                log.error("an own topic would lose records", topic=topic, problem=problem)
        for topic in self._logged.keys() - problems.keys():
            log.info("the settings of an own topic are right again", topic=topic)
        self._logged = problems
        self._metrics.topic_problems({topic: topic in problems for topic in ours})

    async def _create_missing(
        self, admin: AIOKafkaAdminClient, known: Mapping[str, Any]
    ) -> dict[str, str]:
        """Create missing topics; return a message for each that could not be created."""
        missing = {name: needed for name, needed in self._own().items() if name not in known}
        like = [known[name] for name in self._sources if name in known]
        if not missing or not like:
            return {}
        refused = await create_topics(admin, missing, like)
        created = sorted(missing.keys() - refused.keys())
        if created:
            log.info("topics created", topics=created)
        return dict(refused)

    async def _find_problems(
        self,
        admin: AIOKafkaAdminClient,
        ours: Mapping[str, Requirement],
        known: Mapping[str, Any],
    ) -> dict[str, str]:
        """Messages about topics that would lose records, by topic. `known`: topics that were there
        before missing ones were made.
        """
        servers = self._settings.bootstrap_servers
        found = await read_settings(admin, ours)
        self._warn_of_unreadable({topic for topic, values in found.items() if values is None})
        problems = {}
        for topic, required in ours.items():
            values, partitions = found.get(topic), known.get(topic, {}).get("partitions", ())
            problem = topic_problem(topic, values, required, servers) if values else None
            if problem is not None:
                problems[topic] = str(problem)
            elif partitions and (wrong := partition_problem(topic, len(partitions), required)):
                problems[topic] = wrong
        return problems

    def _warn_of_unreadable(self, topics: set[str]) -> None:
        if topics - self._unreadable:
            log.warning(
                "the settings of own topics cannot be read, so records may be lost silently: "
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
