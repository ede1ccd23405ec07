"""Questions about topics, and making them."""

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
from consumer.stream.topic_settings import POLICY, RELEVANT, Keeping, Values

log = get_logger(__name__)

ANSWER_TIMEOUT = 15.0


async def existing_topics(
    settings: KafkaSettings, names: Collection[str]
) -> Mapping[str, Collection[int]]:
    """Those of `names` that exist, with their partitions; none comes into being by asking.

    Raises `HookstreamError` where no broker answers, or this user may not know.
    """
    client = ClusterClient(**connection_options(settings))
    try:
        async with kafka_timeout(settings, ANSWER_TIMEOUT):
            await client.bootstrap()
            topics = await describe_topics(client, names)
    finally:
        await client.close()
    for name, topic in topics.items():
        if topic["error_code"] == TopicAuthorizationFailedError.errno:
            raise HookstreamError(f"Kafka refuses the topic {name}: ask for the right to it")
    return {
        name: [part["partition"] for part in topic["partitions"]] for name, topic in topics.items()
    }


async def describe_topics(
    client: ClusterClient, names: Collection[str] | None = None
) -> dict[str, Any]:
    """Topics that exist, as Kafka's Metadata answer has them, of `names` or all that this user may
    see. One of `names` that may not be seen is there too, with its error code.
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
    """The settings of existing topics; None for one whose settings this user may not read, or
    which this broker does not tell.
    """
    wanted = dict.fromkeys(RELEVANT)
    resources = [ConfigResource(ConfigResourceType.TOPIC, name, wanted) for name in names]
    try:
        [response] = await admin.describe_configs(resources)
    except IncompatibleBrokerVersion:
        return dict.fromkeys(names)
    found: dict[str, Values | None] = {}
    for code, _message, _type, name, entries in response.resources:
        error = for_code(code)
        if error is UnknownTopicOrPartitionError:
            continue  # not there any more
        values = {setting: value for setting, value, *_ in entries if value is not None}
        found[name] = values if not code and POLICY in values else None
    return found


async def create_topics(
    admin: AIOKafkaAdminClient, missing: Mapping[str, Keeping], like: Collection[Any]
) -> Mapping[str, str]:
    """Make topics with as many partitions and replicas as the largest of `like` has. Gives back a
    sentence for each one that the broker refuses.
    """
    partitions = max(len(topic["partitions"]) for topic in like)
    replicas = max(len(part["replicas"]) for topic in like for part in topic["partitions"])
    response = await admin.create_topics(
        [
            NewTopic(name, partitions, replicas, topic_configs=keeping.settings())
            for name, keeping in missing.items()
        ]
    )
    refused = {}
    for name, code, *_ in response.topic_errors:
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:
            settings = ", ".join(f"{k}={v}" for k, v in missing[name].settings().items())
            refused[name] = (
                f"the topic {name} does not exist and could not be created ({error.__name__}): "
                f"create it with {partitions} partitions and {settings}, "
                "or let this user create topics"
            )
    return refused
