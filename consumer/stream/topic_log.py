"""Requests to the leader of a topic that has one partition."""

from typing import Any
from uuid import UUID

from aiokafka.errors import UnknownTopicOrPartitionError, for_code

from consumer.errors import HookstreamError
from consumer.stream.partition_log import PartitionLog


class TopicError(HookstreamError):
    """The topic does not exist, or has several partitions."""


class TopicLog(PartitionLog):
    """The only partition of a topic. Every request raises `KafkaError` if it fails."""

    async def find(self) -> UUID:
        """See `PartitionLog.find`.

        Raises:
            TopicError: there is no such topic, or it has several partitions.
        """
        return await super().find()

    def _check_topic(self, topic: Any) -> None:
        if for_code(topic["error_code"]) is UnknownTopicOrPartitionError:
            raise TopicError(
                f"the topic {self.topic} does not exist: start a daemon with hooks.live, which "
                "creates it"
            )
        partitions = topic["partitions"]
        if len(partitions) > 1:
            raise TopicError(
                f"the topic {self.topic} has {len(partitions)} partitions, which have no common "
                "order: delete it, and create it with one"
            )
