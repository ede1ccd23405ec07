"""Finds deliveries left below a former `kafka.topic_prefix`."""

import asyncio
import re
from collections import Counter
from collections.abc import Collection, Mapping

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from consumer.errors import HookstreamError
from consumer.logs import get_logger
from consumer.settings import KafkaSettings, OwnTopics
from consumer.stream.client import connection_options, make_reader
from consumer.stream.cluster_client import ClusterClient
from consumer.stream.tasks import timeout
from consumer.stream.topics import describe_topics

log = get_logger(__name__)

_CHECK_TIMEOUT_SECONDS = 30.0
_RETRY_TOPIC_PATTERN = re.compile(r"(?P<prefix>.+)\.retry\.[^.]+")


async def warn_of_other_prefixes(settings: KafkaSettings, sources: Collection[str]) -> None:
    """Log each other prefix whose retry topics this group has begun to read and not finished.

    A failure is only logged.
    """
    try:
        async with timeout(_CHECK_TIMEOUT_SECONDS):
            found = await _left_behind(settings, sources)
    except (HookstreamError, KafkaError, TimeoutError) as error:
        log.debug("other prefixes not checked", error=repr(error))
        return
    for prefix, records in found.items():
        log.warning(
            "deliveries of this group wait below another topic prefix, and are not sent: run it "
            "once with that kafka.topic_prefix, unless another installation does",
            topic_prefix=prefix,
            records=records,
        )


async def _left_behind(settings: KafkaSettings, sources: Collection[str]) -> Mapping[str, int]:
    """Number of unread records, by prefix."""
    client = ClusterClient(**connection_options(settings))
    try:
        await client.bootstrap()
        topics = await describe_topics(client)
    finally:
        await client.close()
    prefixes = {
        topic: prefix
        for topic in topics.keys() - set(sources)
        if (prefix := other_prefix(topic, settings.own_topics))
    }
    partitions = [
        TopicPartition(topic, part["partition"])
        for topic in prefixes
        for part in topics[topic]["partitions"]
    ]
    left: Counter[str] = Counter()
    for tp, records in (await _unread(settings, partitions)).items():
        left[prefixes[tp.topic]] += records
    return +left


def other_prefix(topic: str, own: OwnTopics) -> str:
    """The prefix of a retry topic outside our own prefix; empty for all other topics."""
    match = _RETRY_TOPIC_PATTERN.fullmatch(topic)
    if match is None or match["prefix"] == own.prefix:
        return ""
    return match["prefix"] if OwnTopics(match["prefix"]).retry_delay(topic) is not None else ""


async def _unread(
    settings: KafkaSettings, partitions: Collection[TopicPartition]
) -> dict[TopicPartition, int]:
    """Number of records after the group's committed offsets, for partitions with a commit."""
    if not partitions:
        return {}
    reader = make_reader(settings, settings.group_id)
    try:
        await reader.start()
        reader.assign(list(partitions))
        # The public `committed()` makes one request per partition.
        commits = await reader._coordinator.fetch_committed_offsets(list(partitions))  # noqa: SLF001
        ends = await reader.end_offsets(list(commits)) if commits else {}
    finally:
        await asyncio.shield(reader.stop())
    return {tp: max(0, end - commits[tp].offset) for tp, end in ends.items()}
