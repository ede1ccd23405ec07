"""Finds deliveries left below a former `kafka.topic_prefix`."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata

from consumer.errors import HookstreamError
from consumer.logs import get_logger
from consumer.settings import KafkaSettings, OwnTopics, Settings
from consumer.stream.client import connection_options, make_reader
from consumer.stream.tasks import timeout

log = get_logger(__name__)

_CHECK_TIMEOUT_SECONDS = 30.0
_RETRY_INTERVAL_SECONDS = 0.2
"""Between two questions to a coordinator that is not ready yet."""
_QUEUE_PATTERN = re.compile(r"(?P<prefix>.+)\.(retry\.[^.]+|overflow)")


async def warn_of_other_prefixes(settings: Settings) -> None:
    """Log each other prefix whose retry and overflow topics this group has begun to read and not
    finished.

    A failure is only logged.
    """
    sources = [source.topic for source in settings.sources]
    try:
        async with timeout(_CHECK_TIMEOUT_SECONDS):
            found = await _left_behind(settings.kafka, sources)
    except (HookstreamError, KafkaError, TimeoutError) as error:
        log.warning("other topic prefixes not checked", error=repr(error))
        return
    for prefix, records in found.items():
        log.warning(
            "deliveries of this group wait below another topic prefix, and are not sent: run it "
            "once with that kafka.topic_prefix, unless another installation does",
            topic_prefix=prefix,
            records=records,
        )


async def _left_behind(settings: KafkaSettings, sources: Collection[str]) -> Mapping[str, int]:
    """Number of unread records, by prefix.

    A partition without a commit counts from its first record if the group has commits below the
    same prefix: a replica that stopped at once wrote to partitions that it never read.
    """
    own = settings.own_topics
    async with _admin(settings) as admin:
        commits = await _commits(admin, settings.group_id)
        prefixes = {other_prefix(tp.topic, own) for tp in commits if tp.topic not in sources} - {""}
        topics = await admin.describe_topics() if prefixes else []
    unread = {
        TopicPartition(topic["topic"], part["partition"]): prefix
        for topic in topics
        if (prefix := other_prefix(topic["topic"], own)) in prefixes
        and topic["topic"] not in sources
        for part in topic["partitions"]
    }
    if not unread:
        return {}
    left: Counter[str] = Counter()
    async with _reader(settings) as reader:
        starts = await reader.beginning_offsets(list(unread.keys() - commits.keys()))
        ends = await reader.end_offsets(list(unread))
    for tp, end in ends.items():
        start = commits[tp].offset if tp in commits else starts[tp]
        left[unread[tp]] += max(0, end - start)
    return +left


async def _commits(
    admin: AIOKafkaAdminClient, group: str
) -> Mapping[TopicPartition, OffsetAndMetadata]:
    """All commits of the group."""
    while True:
        try:
            commits: Mapping[TopicPartition, OffsetAndMetadata]
            commits = await admin.list_consumer_group_offsets(group)
        except KafkaError as error:
            if not error.retriable:
                raise
            await asyncio.sleep(_RETRY_INTERVAL_SECONDS)
        except TypeError:  # the demo's broker has no list for a group without commits
            return {}
        else:
            return commits


def other_prefix(topic: str, own: OwnTopics) -> str:
    """The prefix of a retry or overflow topic outside our own prefix; empty for other topics."""
    match = _QUEUE_PATTERN.fullmatch(topic)
    if match is None or match["prefix"] == own.prefix:
        return ""
    other = OwnTopics(match["prefix"])
    return other.prefix if topic == other.overflow or other.retry_delay(topic) is not None else ""


@asynccontextmanager
async def _admin(settings: KafkaSettings) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(**connection_options(settings))
    try:
        await admin.start()
        yield admin
    finally:
        await asyncio.shield(admin.close())


@asynccontextmanager
async def _reader(settings: KafkaSettings) -> AsyncIterator[AIOKafkaConsumer]:
    reader = make_reader(settings, group=None)
    try:
        await reader.start()
        yield reader
    finally:
        await asyncio.shield(reader.stop())
