"""Queries about topics, and their creation."""

from collections.abc import Collection, Mapping
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    IncompatibleBrokerVersion,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    for_code,
)

from consumer.errors import HookstreamError
from consumer.logs import get_logger
from consumer.settings import KafkaSettings
from consumer.stream.client import connection_options, kafka_timeout
from consumer.stream.cluster_client import ClusterClient
from consumer.stream.metadata import metadata_request
from consumer.stream.topic_settings import (
    CLEANUP_POLICY,
    SETTINGS,
    Requirement,
    Values,
    topic_problem,
)

log = get_logger(__name__)

ANSWER_TIMEOUT_SECONDS = 15.0


async def existing_topics(
    settings: KafkaSettings, names: Collection[str]
) -> Mapping[str, Collection[int]]:
    """Existing topics of `names`, with their partition numbers. Creates no topics.

    Raises `HookstreamError` if no broker answers, or this user has no permission.
    """
    client = ClusterClient(**connection_options(settings))
    try:
        async with kafka_timeout(settings, ANSWER_TIMEOUT_SECONDS):
            await client.bootstrap()
            topics = await describe_topics(client, names)
    finally:
        await client.close()
    for name, topic in topics.items():
        if topic["error_code"] == TopicAuthorizationFailedError.errno:
            raise HookstreamError(f"Kafka refuses the topic {name}: ask for access to it")
    return {
        name: [part["partition"] for part in topic["partitions"]] for name, topic in topics.items()
    }


async def describe_topics(
    client: ClusterClient, names: Collection[str] | None = None
) -> dict[str, Any]:
    """Existing topics as in Kafka's Metadata answer: those of `names`, or all that this user may
    see. A topic of `names` without permission is included with its error code.
    """
    response = await client.send(client.get_random_node(), metadata_request(names))
    return {
        topic["topic"]: topic
        for topic in response.to_object()["topics"]
        if topic["error_code"] != UnknownTopicOrPartitionError.errno
    }


async def read_settings(
    admin: AIOKafkaAdminClient, names: Collection[str]
) -> Mapping[str, Values | None]:
    """The settings of existing topics; None if not permitted or not reported by the broker."""
    wanted = dict.fromkeys(SETTINGS)
    resources = [ConfigResource(ConfigResourceType.TOPIC, name, wanted) for name in names]
    try:
        [response] = await admin.describe_configs(resources)
    except IncompatibleBrokerVersion:
        return dict.fromkeys(names)
    found: dict[str, Values | None] = {}
    for code, _message, _type, name, entries in response.resources:
        error = for_code(code)
        if error is UnknownTopicOrPartitionError:
            continue  # deleted meanwhile
        values = {setting: value for setting, value, *_ in entries if value is not None}
        found[name] = values if not code and CLEANUP_POLICY in values else None
    return found


async def refuse_wrong_settings(settings: KafkaSettings, topic: str, required: Requirement) -> None:
    """Raise `HookstreamError` if one of our own topics exists and would lose records, as far as
    this user may know.
    """
    admin = AIOKafkaAdminClient(**connection_options(settings))
    try:
        async with kafka_timeout(settings, ANSWER_TIMEOUT_SECONDS):
            await admin.start()
            values = (await read_settings(admin, [topic])).get(topic)
    finally:
        await admin.close()
    if values is None:
        return
    problem = topic_problem(topic, values, required, settings.bootstrap_servers)
    if problem is not None:
        raise HookstreamError(str(problem))


async def create_topics(
    admin: AIOKafkaAdminClient, missing: Mapping[str, Requirement], like: Collection[Any]
) -> Mapping[str, str]:
    """Create topics with the largest replica count of `like`, and the largest partition count if
    they may have any. Return a message for each topic that the broker refuses.
    """
    usual = max(len(topic["partitions"]) for topic in like)
    replicas = max(len(part["replicas"]) for topic in like for part in topic["partitions"])
    response = await admin.create_topics(
        [
            NewTopic(
                name, required.partitions or usual, replicas, topic_configs=required.settings()
            )
            for name, required in missing.items()
        ]
    )
    refused = {}
    for name, code, *_ in response.topic_errors:
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:
            settings = ", ".join(f"{k}={v}" for k, v in missing[name].settings().items())
            partitions = missing[name].partitions or usual
            refused[name] = (
                f"the topic {name} does not exist and could not be created ({error.__name__}): "
                f"create it with {partitions} partition{'s' * (partitions > 1)} and {settings}, "
                "or let this user create topics"
            )
    return refused
