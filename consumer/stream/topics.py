"""Looks at the cluster before the first record: are the topics there, and may ours be made?"""

from collections.abc import Collection, Mapping
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    for_code,
)

from consumer.errors import HookstreamError
from consumer.logs import get_logger
from consumer.settings import KafkaSettings
from consumer.stream.client import answered_within, connection_options
from consumer.stream.cluster_client import ClusterClient, metadata_request

log = get_logger(__name__)

_TIMEOUT = 15.0
_RETENTION = {
    "retry": str(14 * 24 * 3600 * 1000),
    "dead-letter": "-1",
}
"""Milliseconds: a retry lane outlives a long holiday; dead letters stay until a person decides."""


async def prepare_topics(
    settings: KafkaSettings, *, sources: Collection[str], lanes: Collection[str], dead_letter: str
) -> Collection[str]:
    """Make the retry and dead-letter topics where they are missing; the names of all that were
    there before.

    Raises `HookstreamError` where no broker answers, a source topic does not exist, or a topic
    of ours neither exists nor can be made.
    """
    admin = AIOKafkaAdminClient(**connection_options(settings))
    try:
        async with answered_within(settings, _TIMEOUT):
            await admin.start()
            known = {topic["topic"]: topic for topic in await admin.describe_topics()}
            _require(sources, known)
            retention = dict.fromkeys(lanes, _RETENTION["retry"])
            retention[dead_letter] = _RETENTION["dead-letter"]
            missing = {name: kept for name, kept in retention.items() if name not in known}
            await _create(admin, missing, [known[name] for name in sources])
            return known
    finally:
        await admin.close()


async def existing_topics(
    settings: KafkaSettings, names: Collection[str]
) -> Mapping[str, Collection[int]]:
    """Those of `names` that exist, with their partitions; none comes into being by asking.

    Raises `HookstreamError` where no broker answers, or this user may not know.
    """
    client = ClusterClient(**connection_options(settings))
    try:
        async with answered_within(settings, _TIMEOUT):
            await client.bootstrap()
            response = await client.send(client.get_random_node(), metadata_request(names))
    finally:
        await client.close()
    topics = {topic["topic"]: topic for topic in response.to_object()["topics"]}
    for name, topic in topics.items():
        if topic["error_code"] == TopicAuthorizationFailedError.errno:
            raise HookstreamError(f"Kafka refuses the topic {name}: ask for the right to it")
    return {
        name: [part["partition"] for part in topic["partitions"]]
        for name, topic in topics.items()
        if topic["error_code"] != UnknownTopicOrPartitionError.errno
    }


def _require(sources: Collection[str], known: Mapping[str, Any]) -> None:
    missing = sorted(set(sources) - known.keys())
    if missing:
        raise HookstreamError(
            f"no such topic: {', '.join(missing)}: create it in Kafka, "
            "or name the topic of your events under sources"
        )


async def _create(
    admin: AIOKafkaAdminClient, retention: Mapping[str, str], like: Collection[Any]
) -> None:
    """Make topics with as many partitions and replicas as the largest source has."""
    if not retention:
        return
    partitions = max(len(topic["partitions"]) for topic in like)
    replicas = max(len(part["replicas"]) for topic in like for part in topic["partitions"])
    response = await admin.create_topics(
        [
            NewTopic(name, partitions, replicas, topic_configs={"retention.ms": kept})
            for name, kept in retention.items()
        ]
    )
    for name, code, *_ in response.topic_errors:
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:
            raise HookstreamError(
                f"the topic {name} does not exist and could not be created ({error.__name__}): "
                f"create it with {partitions} partitions, or let this user create topics"
            )
    log.info("topics created", topics=sorted(retention))
